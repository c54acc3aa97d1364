"""Slow, obvious definitions of every label, written from LABELS.md alone: what kernels are compared with.

Belongs here: plain Python (lists, dataclasses, math). Does not belong here: numpy, pandas, anything of `label_assets`.

Every family has one function that returns a list of dictionaries, one an entry, with the family's columns. None is
NULL; enums are their names; times are whole epoch seconds, or bars t = 1..n.
"""
