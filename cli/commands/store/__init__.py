"""`init`, `put`, `get`, `ls`, `cat`, `diff`, `du`, `config`, `fsck`, `gc`, `pin`, `doctor`: what a store keeps, whole.

In: files and folders, digests and references, casstore.toml. Out: stored objects, files written from them, what is
damaged, what was mended, what is given up. `starting` is the first command of a person, `put` that of CI, `reading`
asks, `upkeep` and `gc` look after it. Called by `cli.main`; `releases` tells what it put in the same words.
"""
