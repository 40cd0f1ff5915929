"""What the loop's commands print: comparisons, seeds, and the journal. One module an output.

`contract.py` has the plain rows of the JSON, `rows.py` makes them, and every output reads these.
"""
