"""Writes trees out: whole and verified at the target, or nothing there.

report = Checkout(reader, catalog, packs, progress).run(tree_digest, b"/srv/out")
"""

from casstore.checkout.checkout import Checkout, CheckoutReport

__all__ = ["Checkout", "CheckoutReport"]
