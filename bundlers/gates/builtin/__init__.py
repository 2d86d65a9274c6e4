"""The built-in gates, one file each: NAME, PHASE, SUMMARY, Settings and a pure `check`.

In: a view of the release (components, archives, configuration). Out: findings. How gates are found,
configured and run stands one room up; the table there names each file of this one. Called by `bundlers.gates` alone.
"""
