"""Evaluates votes in batches after they were cast, and opens alerts about voters, models and networks.

Workers evaluate a vote by the snapshot that was the newest when the vote was read. For the votes of an imported history
there was none: these votes are a backlog. A backlog is evaluated as a whole, by comparing voters with each other. Every
night the votes of the last weeks are evaluated in the same way. The mathematics is in `pipeline.backlog`, which reads
and writes nothing.

backfill.py       evaluates every vote from before the first snapshot; the first refresh of a store calls it
reevaluation.py   evaluates the votes of the last weeks again
backlog_input.py  reads the votes of a store as the columns of a backlog
evaluation_run.py evaluates a backlog, opens alerts and records the run
backlog_alerts.py turns findings into alerts
alert_news.py     selects the alerts that say more than the stored alerts
"""
