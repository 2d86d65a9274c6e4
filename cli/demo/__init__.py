"""The demo: a whole release of four products, one of them in two builds, of real files, by commands that people type.

In: an empty folder. Out: a store, a release line, a published repository and an install, each step told as it was
typed. Nothing is called that a person could not type. Called by `casstore demo` and `make demo`.
"""
