"""Packed forms, opened: runs in a cell alone (see `bundlers.inspection`).

In: the bytes of one archive, as a file. Out: its members, each with a stream. Called by `bundlers.inspection.looking`
in a cell.
"""
