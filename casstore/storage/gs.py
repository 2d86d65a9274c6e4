"""`gs://bucket/prefix`: Google Cloud Storage. Credentials come from the environment only."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

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
_OPTIONS = frozenset({"client"})
_HOSTS = ("https://storage.googleapis.com", "https://oauth2.googleapis.com")


def open_gs(url: str, network: NetworkGuard | None) -> RemoteStorage:
    """The bucket as a storage. Raises BadInput, PolicyViolation, StorageUnavailable."""
    place = locations.parse(url, _OPTIONS)
    for host in _HOSTS:
        locations.name(network, host)
    wants_fsspec = place.options.get("client") == "fsspec" or not find_spec("obstore")
    if not any(os.environ.get(name) for name in _CREDENTIALS) and not os.path.isfile(os.path.expanduser(_OWN)):
        locations.allow_metadata(network, url, _METADATA, _CREDENTIALS[0])
    with opening(url, "GOOGLE_APPLICATION_CREDENTIALS: the path of a service account's key"):
        return RemoteStorage(url, _fsspec(place) if wants_fsspec else _obstore(place))


def _obstore(place: locations.Location) -> Client:
    from obstore.store import GCSStore

    from casstore.storage.obstore_client import ObstoreClient, client_options, retry_config

    store = GCSStore(
        place.bucket,
        prefix=place.prefix or None,
        client_options=client_options(allow_http=False),  # type: ignore[arg-type]
        retry_config=retry_config(),  # type: ignore[arg-type]
    )
    return ObstoreClient(store, place.url)


def _fsspec(place: locations.Location) -> Client:
    from casstore.storage.fsspec_client import FsspecClient, filesystem

    return FsspecClient(filesystem("gs"), f"{place.bucket}/{place.prefix}", place.url)
