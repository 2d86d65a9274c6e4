"""What is built and how that is told: build steps, their inputs, the CI that ran them, SBOM, provenance.

In: a component of casstore.toml and its folder. Out: recorded inputs and statements to sign.
Called by `put` and by the gates that build again; archives are made elsewhere.
"""
