"""What stored bytes look like: packs of compressed pieces, and trees. Pure formats and single files.

`pack_format` holds the layout, `pack_writer` and `pack_reader` one file each, `staging` the pack of one command while
it grows, `tree` the folder object. Which packs there are and where, is left to `casstore.objects.packs` and the index.
"""
