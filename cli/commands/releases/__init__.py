"""`run`, `gate`, `isolation`, `release`, `rebuild`, `baseline`: from components to one version of all products.

In: a version, its components, the gates and products of casstore.toml, measured figures. Out: the release and its
archives, or the blockers that held it. Nothing here moves a channel. Called by `cli.main`; `channels` asks the gates
that stand at a promotion by `asking`.
"""
