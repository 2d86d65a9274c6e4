"""How owners make and change a trust root, each offline and in any order; and cases that try a policy.

In: a draft and the parts that owners signed. Out: the next trust root with one bundle a signer.
Called by the commands of `casstore keys ceremony` and `casstore policy test`.
"""
