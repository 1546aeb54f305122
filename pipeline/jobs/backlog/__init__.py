"""Evaluates many votes together after they were cast, and opens alerts about voters and models.

Workers evaluate a vote by the snapshot that was the newest when the vote was read. An imported history is read before
any snapshot exists; its votes form a backlog. A backlog is evaluated as a whole, by comparing voters with each other.
Every night the votes of the last weeks are evaluated in the same way. The statistical code is in `pipeline.backlog`,
which reads and writes no store.

backfill.py       evaluates every vote from before the first snapshot; the first refresh of a store calls it
reevaluation.py   evaluates the votes of the last weeks again
backlog_input.py  reads the votes of a store as the columns of a backlog
evaluation_run.py evaluates a backlog, opens alerts and records the run
backlog_alerts.py turns the findings of an evaluation into alerts
alert_news.py     selects the alerts that say more than the stored alerts
"""
