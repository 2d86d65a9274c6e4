"""`gs://bucket/prefix`: Google Cloud Storage, and servers that speak its XML requests.

Options of the URL: `endpoint`; else STORAGE_EMULATOR_HOST. Credentials come from the environment only; an endpoint of
one's own is asked without any where none are set.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from attest.errors import BadInput
from casstore.storage import locations
from casstore.storage.refusals import opening
from casstore.storage.remote import Client, RemoteStorage

if TYPE_CHECKING:
    from casstore.network.network import NetworkGuard

_CREDENTIALS = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_SKIP_SIGNATURE",
)
_METADATA = "http://metadata.google.internal"
_OWN = "~/.config/gcloud/application_default_credentials.json"
_OPTIONS = frozenset({"client", "endpoint"})
_HOSTS = ("https://storage.googleapis.com", "https://oauth2.googleapis.com")


def open_gs(url: str, network: NetworkGuard | None) -> RemoteStorage:
    """The bucket as a storage. Raises BadInput, PolicyViolation, StorageUnavailable."""
    place = locations.parse(url, _OPTIONS)
    endpoint = place.options.get("endpoint") or _emulator()
    for host in (endpoint,) if endpoint else _HOSTS:
        locations.name(network, host)
    wants_fsspec = place.options.get("client") == "fsspec" or not find_spec("obstore")
    if not endpoint and not _has_credentials():
        locations.allow_metadata(network, url, _METADATA, _CREDENTIALS[0])
    client = _fsspec if wants_fsspec else _obstore
    with opening(url, "GOOGLE_APPLICATION_CREDENTIALS: the path of a service account's key"):
        return RemoteStorage(url, client(place, endpoint))


def _has_credentials() -> bool:
    return any(os.environ.get(name) for name in _CREDENTIALS) or os.path.isfile(os.path.expanduser(_OWN))


def _emulator() -> str | None:
    """As Google's own libraries read it: with or without a scheme."""
    named = os.environ.get("STORAGE_EMULATOR_HOST")
    return named if not named or "://" in named else f"http://{named}"


def _obstore(place: locations.Location, endpoint: str | None) -> Client:
    from obstore.store import GCSStore

    from casstore.storage.obstore_client import ObstoreClient, client_options, retry_config

    options: dict[str, Any] = {"service_account_key": _key_for(endpoint, place.url)} if endpoint else {}
    store = GCSStore(
        place.bucket,
        prefix=place.prefix or None,
        client_options=client_options(allow_http=bool(endpoint and endpoint.startswith("http:"))),  # type: ignore[arg-type]
        retry_config=retry_config(),  # type: ignore[arg-type]
        **options,
    )
    return ObstoreClient(store, place.url)


def _key_for(endpoint: str, url: str) -> str:
    """The service account's key with the endpoint in it, where the client looks for it; no key, no signature."""
    path = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") or os.environ.get("GOOGLE_SERVICE_ACCOUNT_PATH")
    key: dict[str, Any] = {"client_email": "", "private_key": "", "private_key_id": "", "disable_oauth": True}
    if path:
        try:
            with open(path, "rb") as file:
                key = json.load(file)
        except (OSError, ValueError) as exc:
            raise BadInput(f"{url}: {path} is no service account's key: {exc}") from exc
    return json.dumps({**key, "gcs_base_url": endpoint.rstrip("/")})


def _fsspec(place: locations.Location, endpoint: str | None) -> Client:
    from casstore.storage.fsspec_client import FsspecClient, filesystem

    options: dict[str, Any] = {"endpoint_url": endpoint} if endpoint else {}
    if endpoint and not _has_credentials():
        options["token"] = "anon"  # noqa: S105  gcsfs's word for none
    return FsspecClient(filesystem("gs", **options), f"{place.bucket}/{place.prefix}", place.url)
