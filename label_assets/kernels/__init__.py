"""The computations: arrays in, named tuples of arrays out. Imports nothing of ours but kernels.

NULL in arrays: a float is NaN, an integer is `NULL_INT`. Times are epoch seconds (int64), UTC.
"""
