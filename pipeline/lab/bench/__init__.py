"""Measurements, as ratios within one run: the worker beside the bare loop, the rating engine beside its peers.

evidence.py      how often detectors are wrong, and how soon they are right
streams.py       votes through the worker: the bare client loop, PostgreSQL, SQLite, several workers
tables.py        the tables that everybody rates: the real counts as 1.67 million rows, and a synthetic one with style
tasks.py         our side of each task; `python -m pipeline.lab.bench.rating_tasks` is the child process that runs one
peers/           the peers' side, each a script on its own for the peers' environment: they import nothing of ours
environment.py   that environment, .venv-bench, apart from ours: one peer brings JAX
comparison.py    every task by everybody, each in a process of its own, and the ratios
coverage.py      a simulation: do 95% intervals hold the truth 95% of the time?

A task is timed from a table of strings in memory (a pandas DataFrame, as read from Parquet) to ratings; reading the
file is not timed. "First" is the first call of a process, "warm" the fastest of those after it. Peak memory is the
process's own largest resident set, table and interpreter included.
"""
