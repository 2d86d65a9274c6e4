"""Proxies of the environment, used only where the network policy allows their host.

A proxy sees the request, and a token with it where the connection is not encrypted; so it is a host
like any other.

    urllib.request.build_opener(proxies(guard))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import urllib.request


class Guard(Protocol):
    """The network policy."""

    def check(self, url_or_host: str, /) -> None:
        """Raises when the host is not allowed."""


def proxies(network: Guard | None) -> urllib.request.ProxyHandler:
    """urllib's handler of `http_proxy` and its like, which asks the policy before a proxy is used."""
    import urllib.request

    class Asked(urllib.request.ProxyHandler):
        def proxy_open(self, req: urllib.request.Request, proxy: str, type: str) -> Any:  # noqa: A002  the library's name
            if network is not None and not urllib.request.proxy_bypass(req.host or ""):
                network.check(proxy)
            return super().proxy_open(req, proxy, type)

    return Asked()
