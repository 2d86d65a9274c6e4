"""`az://container/prefix`: Azure Blob storage.

Options of the URL: `account`, `endpoint`; else AZURE_STORAGE_ACCOUNT_NAME. Credentials come
from the environment only.
"""

from __future__ import annotations

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
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_SKIP_SIGNATURE",
)
_METADATA = "http://169.254.169.254"
_OPTIONS = frozenset({"account", "endpoint", "client"})


def open_az(url: str, network: NetworkGuard | None) -> RemoteStorage:
    """The container as a storage. Raises BadInput, PolicyViolation, StorageUnavailable."""
    place = locations.parse(url, _OPTIONS)
    account = place.options.get("account") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME")
    if not account:
        raise BadInput(f"{url}: no storage account is named", hint="set AZURE_STORAGE_ACCOUNT_NAME")
    endpoint = place.options.get("endpoint")
    locations.name(network, endpoint or f"https://{account}.blob.core.windows.net")
    wants_fsspec = place.options.get("client") == "fsspec" or not find_spec("obstore")
    if not any(os.environ.get(name) for name in _CREDENTIALS):
        locations.allow_metadata(network, url, _METADATA, _CREDENTIALS[0])
    client = _fsspec if wants_fsspec else _obstore
    with opening(url, "AZURE_STORAGE_ACCOUNT_KEY: it is base64"):
        return RemoteStorage(url, client(place, account, endpoint))


def _obstore(place: locations.Location, account: str, endpoint: str | None) -> Client:
    from obstore.store import AzureStore

    from casstore.storage.obstore_client import ObstoreClient, client_options, retry_config

    options: dict[str, Any] = {"account_name": account}
    if endpoint:
        options["endpoint"] = endpoint
    if key := os.environ.get("AZURE_STORAGE_ACCOUNT_KEY") or os.environ.get("AZURE_STORAGE_KEY"):
        options["account_key"] = key
    store = AzureStore(
        place.bucket,
        prefix=place.prefix or None,
        client_options=client_options(allow_http=bool(endpoint and endpoint.startswith("http:"))),  # type: ignore[arg-type]
        retry_config=retry_config(),  # type: ignore[arg-type]
        **options,
    )
    return ObstoreClient(store, place.url)


def _fsspec(place: locations.Location, account: str, endpoint: str | None) -> Client:
    from casstore.storage.fsspec_client import FsspecClient, filesystem

    key = os.environ.get("AZURE_STORAGE_ACCOUNT_KEY") or os.environ.get("AZURE_STORAGE_KEY")
    options: dict[str, Any] = {"account_name": account, "account_key": key}
    if endpoint:
        scheme = endpoint.partition(":")[0]
        options["connection_string"] = (
            f"DefaultEndpointsProtocol={scheme};AccountName={account};AccountKey={key};BlobEndpoint={endpoint};"
        )
    return FsspecClient(filesystem("az", **options), f"{place.bucket}/{place.prefix}", place.url)
