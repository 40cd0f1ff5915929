"""The systematic practice: one change at a time, compared with what was there before, and written down.

`settings.py` says what changed in the configuration, `equal.py` brings runs to equal length and logging,
`compare.py` and `sensitivity.py` judge, `journal.py` keeps the record.
"""
