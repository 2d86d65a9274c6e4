"""A real, private sigstore on loopback: Fulcio with a token check, a certificate log, Rekor v1 and v2,
a time stamp authority, an OIDC issuer and a TUF repository of the trust material. Keys live in memory.

    with PrivateSigstore() as instance:
        config = instance.trust_config(rekor=2)               # for unchanged sigstore clients
        token = instance.token(email="ann@example.com")
        instance.faults["rekor"] = "down"                     # down, slow, error, garbage
        instance.rekor_v1.lies.add("bad-promise")             # each service names its own lies
        instance.clock.move(days=3)                           # for all services at once
        instance.rotate("fulcio")                             # the old part's window ends now
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec

from . import trust
from .authorities import certificate_authority
from .clock import Clock
from .fulcio import Fulcio, Oidc, spki
from .rekor import RekorV1, RekorV2
from .server import FAULTS, Server
from .stamping import StampingAuthority
from .trust import KnownAuthority, KnownLog, Window

__all__ = ["FAULTS", "PARTS", "Clock", "PrivateSigstore"]

PARTS = {"fulcio": "certificateAuthorities", "ct": "ctlogs", "rekor_v1": "tlogs", "rekor_v2": "tlogs",
         "tsa": "timestampAuthorities"}  # fmt: skip
"""What can be rotated, and under which name the trusted root lists it."""


class PrivateSigstore:
    """The whole instance; a context manager."""

    def __init__(self, issuer: str = "https://issuer.example") -> None:
        self.clock, self._server = Clock(), Server()
        start = self.start = self.clock.now() - timedelta(days=1)
        self.url, self.host, self.faults = self._server.url, self._server.host, self._server.faults
        self.asked = self._server.asked
        self.oidc = Oidc(issuer)
        self.fulcio = Fulcio(self.clock, self.oidc, start)
        self.rekor_v1, self.rekor_v2 = RekorV1(self.clock, self.host), RekorV2(self.clock, self.host)
        self.tsa = StampingAuthority(self.clock, start)
        self.parts: dict[str, list[Any]] = {}
        for name in PARTS:
            self.parts.setdefault(PARTS[name], []).append(self._known(name, Window(start)))
        self._server.routes.update(
            {
                "/api/v2/signingCert": ("fulcio", lambda *a: self.fulcio.signing_certificate(*a)),
                "/api/v1/log/entries": ("rekor", lambda *a: self.rekor_v1.add(*a)),
                "/api/v1/log/entries/retrieve": ("rekor", lambda *a: self.rekor_v1.retrieve(*a)),
                "/api/v2/log/entries": ("rekor", lambda *a: self.rekor_v2.add(*a)),
                "/api/v1/timestamp": ("tsa", lambda *a: self.tsa.stamp(*a)),
            }
        )

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def tsa_url(self) -> str:
        return f"{self.url}/api/v1/timestamp"

    def token(self, **claims: Any) -> str:
        """An identity token; `email=` or `sub=`, and what else a CI system claims."""
        return self.oidc.token(**({"sub": claims["email"]} if "email" in claims else {}), **claims)

    def trusted_root(self) -> bytes:
        return json.dumps(trust.trusted_root(self.parts)).encode()

    def signing_config(self, rekor: int = 1, *, stamps: bool = True) -> dict[str, Any]:
        return trust.signing_config(self.url, rekor=rekor, stamps=stamps, start=self.start)

    def trust_config(self, rekor: int = 1, *, stamps: bool = True) -> bytes:
        return trust.client_trust_config(trust.trusted_root(self.parts), self.signing_config(rekor, stamps=stamps))

    def publish_tuf(self, rekor: int = 1) -> bytes:
        """Serve the trust material as a TUF repository at `url`; returns its root.json."""
        files = trust.tuf_files(
            {
                "trusted_root.json": trust.trusted_root(self.parts),
                "signing_config.v0.2.json": self.signing_config(rekor),
            }
        )
        self._server.files.update(files)
        return files["/1.root.json"]

    def rotate(self, part: str) -> None:
        """A new key for a part; the window of the old one ends now, and it stays listed for old signatures."""
        now = self.clock.now()
        self.current(part).window.end = now
        if part == "fulcio":
            self.fulcio.authority = certificate_authority("fulcio-next", now - timedelta(hours=1))
        elif part == "ct":
            self.fulcio.ct_key = ec.generate_private_key(ec.SECP256R1())
        elif part == "tsa":
            self.tsa = StampingAuthority(self.clock, now - timedelta(hours=1))
        else:
            setattr(self, part, (RekorV1 if part == "rekor_v1" else RekorV2)(self.clock, self.host))
        self.parts[PARTS[part]].append(self._known(part, Window(now - timedelta(seconds=1))))

    def current(self, part: str) -> Any:
        """The trusted root's entry of the part that is in use."""
        own = {"ct": self.fulcio.ct_key.public_key(), "fulcio": self.fulcio.authority, "tsa": self.tsa.authority}
        if part.startswith("rekor"):
            own[part] = getattr(self, part).key.public_key()
        return next(
            p for p in self.parts[PARTS[part]] if own[part] in (getattr(p, "public", p), getattr(p, "authority", p))
        )

    def _known(self, part: str, window: Window) -> Any:
        if part == "fulcio":
            return KnownAuthority(self.url, self.fulcio.authority, window)
        if part == "tsa":
            return KnownAuthority(self.tsa_url, self.tsa.authority, window)
        if part == "ct":
            public = self.fulcio.ct_key.public_key()
            return KnownLog(f"{self.url}/ct", hashlib.sha256(spki(public)).digest(), public, window)
        log = getattr(self, part)
        return KnownLog(self.url, log.key_id, log.key.public_key(), window)
