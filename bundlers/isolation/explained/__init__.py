"""What two products may both carry, and which bytes that explains: shared components, references, acceptances.

In: products, settings, trees in a store. Out: whether a content is allowed between two, and spans of a file that are.
Called by `comparing`, `copies`, `looks`, and the commands that make references and acceptances.
"""
