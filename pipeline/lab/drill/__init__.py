"""Plays a campaign and measures how long it takes from its first vote to the board without it, for `integrity drill`.

campaign     makes the votes of a campaign for a model of the board
chain        sends them, and waits for alert, incident, page, exclusion and snapshot
board_copy   runs worker, monitor, exporter and Prometheus over a copy of a board

Law: no invented vote reaches a board that was published. A campaign goes to a store that is marked as a test
(`pipeline.store.boards.drill_mark`), or to a copy.
"""
