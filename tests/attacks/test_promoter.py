"""A promoter with write access to the store: entries that nobody judged before they were written."""

from __future__ import annotations
