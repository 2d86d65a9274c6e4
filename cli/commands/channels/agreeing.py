"""What is approved and moved is what was put: the archives' lists against the components' trees."""

from __future__ import annotations

from cli.session import Session


def check(session: Session, release: str) -> None:
    """Raises VerificationError, NoSuchObject."""
    from bundlers.products import agreement
    from casstore.ledger import release_objects

    store = session.open_store()
    digest = session.state().find_release(release).digest
    agreement.check_release(store, release_objects.parse(store.read(digest)))
