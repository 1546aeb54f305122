"""Leaderboard integrity: every vote accounted for, manipulation flagged, ratings recomputable.

Start at README.md for what it does; `pipeline/cli` for the verbs; `pipeline/stream/worker.py`
for the way of a vote; `pipeline/errors.py` for what can go wrong.
"""
