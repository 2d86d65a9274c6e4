"""What was verified, put in force on a consumer's machine: fetched, unpacked, switched to, and back again.

In: a verified channel (`consuming`), a folder, the consumer's own wishes. Out: an installed version and its receipt, or
the version before, which runs until the very switch. Called by `install`, `uninstall` and `update`.
"""
