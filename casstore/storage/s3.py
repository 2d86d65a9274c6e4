"""`s3://bucket/prefix`: S3 and servers that speak it (Ceph's gateway and others).

Options of the URL: `endpoint`, `region`; else the usual environment (AWS_ENDPOINT_URL,
AWS_REGION). Credentials come from the environment only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from casstore.storage import locations
from casstore.storage.refusals import opening
from casstore.storage.remote import Client, RemoteStorage

if TYPE_CHECKING:
    from casstore.network.network import NetworkGuard

_OPTIONS = frozenset({"endpoint", "region", "client"})
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE")
_METADATA = "http://169.254.169.254"


def open_s3(url: str, network: NetworkGuard | None) -> RemoteStorage:
    """The bucket as a storage. Raises BadInput, PolicyViolation, StorageUnavailable."""
    place = locations.parse(url, _OPTIONS)
    region = place.options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    region = region or "us-east-1"
    endpoint = place.options.get("endpoint") or _environment_endpoint()
    locations.name(network, endpoint or f"https://{place.bucket}.s3.{region}.amazonaws.com")
    if not any(os.environ.get(name) for name in _CREDENTIALS):
        locations.allow_metadata(network, url, _METADATA, _CREDENTIALS[0])
    client = _fsspec if place.options.get("client") == "fsspec" else _preferred()
    with opening(url, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        return RemoteStorage(url, client(place, endpoint, region))


def _environment_endpoint() -> str | None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _preferred() -> Any:
    from importlib.util import find_spec

    return _obstore if find_spec("obstore") else _fsspec


def _obstore(place: locations.Location, endpoint: str | None, region: str) -> Client:
    from obstore.store import S3Store

    from casstore.storage.obstore_client import ObstoreClient, client_options, retry_config

    options: dict[str, Any] = {"region": region, "virtual_hosted_style_request": endpoint is None}
    options["disable_bulk_delete"] = True  # one DELETE each: some servers have no bulk request
    if endpoint:
        options["endpoint"] = endpoint
    store = S3Store(
        place.bucket,
        prefix=place.prefix or None,
        client_options=client_options(allow_http=bool(endpoint and endpoint.startswith("http:"))),  # type: ignore[arg-type]
        retry_config=retry_config(),  # type: ignore[arg-type]
        **options,
    )
    return ObstoreClient(store, place.url)


def _fsspec(place: locations.Location, endpoint: str | None, region: str) -> Client:
    from casstore.storage.fsspec_client import FsspecClient, filesystem

    client: dict[str, Any] = {"region_name": region}
    if endpoint:
        client["endpoint_url"] = endpoint
    config: dict[str, Any] = {
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "retries": {"max_attempts": 2, "mode": "standard"},  # the create loop has its own tries
    }
    if endpoint:
        config["s3"] = {"addressing_style": "path"}
    fs = filesystem("s3", client_kwargs=client, config_kwargs=config)
    return FsspecClient(fs, f"{place.bucket}/{place.prefix}", place.url)
