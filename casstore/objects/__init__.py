"""What stored bytes look like: packs of compressed pieces, and trees. Pure formats and single files.

In: contents and entries of folders, or stored bytes. Out: the one encoding of them, or FormatError. Called by
everything in `casstore` above it, and by `bundlers` for trees and their differences.

`pack_format` holds the layout, `pack_writer` and `pack_reader` one file each, `staging` the pack of one command while
it grows, `tree` the folder object. Which packs there are and where, is left to `casstore.objects.packs` and the index.
"""
