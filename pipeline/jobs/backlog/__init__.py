"""Evaluates votes that no snapshot preceded, and nightly the votes of the last weeks.

backfill.py       evaluates every vote that no snapshot preceded; the first refresh of a store calls it
reevaluation.py   evaluates the votes of the last weeks again
backlog_input.py  reads the votes of a store as the columns of a backlog
evaluation_run.py evaluates a backlog, opens alerts and records the run
backlog_alerts.py turns findings into alerts
alert_news.py     selects the alerts that add something to the stored ones

The evaluation itself is `pipeline.backlog`, a pure function.
"""
