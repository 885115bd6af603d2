"""Reserved for `diptych doctor DATA`, which will check data before a long training.

It is still empty. It will find files shared by domains or splits, differing sizes and broken
images. `Data.notes` already lists the decisions made when data are opened: see `splits.py`.
"""
