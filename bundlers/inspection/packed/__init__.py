"""Packed forms, opened: runs in a cell alone (see `bundlers.inspection`)."""
