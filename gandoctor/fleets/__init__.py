"""Thousands of runs: found, diagnosed by any engine, kept as a Parquet data set.

units.py finds what can be read by itself; work.py is the pure function from a folder to rows; engine.py maps it;
table.py keeps the rows; sweep.py puts them together; report.py makes the page.
"""
