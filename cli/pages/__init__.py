"""The written pages - guides, formats, tables - as an installed tool has them.

In: a topic. Out: the page's text, in which links name topics. The wheel carries the pages below this room;
a checkout reads them where they are written, in `docs`. Called by the command `help`.
"""
