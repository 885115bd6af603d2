"""Room for `diptych doctor DATA`: what is wrong with data, before a long training.

Nothing is here yet: files that two domains or two splits share, unlike sizes, broken images.
What opening data decides without being asked is in `Data.notes`: see `splits.py`.
"""
