"""Simulates a campaign of votes on a test store, and times how soon the pipeline reacts, for `integrity drill`.

The times are measured from the first vote of the campaign to the board without its votes.

campaign     makes the votes of a campaign for a model of the board
chain        sends the votes, and waits for alert, incident, page, exclusion and snapshot
store_topic  checks that the store reads the topic to which the votes go
board_copy   runs worker, monitor, exporter and Prometheus on a copy of a board

No invented vote reaches a board that was published: the votes go to a topic that a store marked
as a test reads (`pipeline.store.boards.drill_mark`), or to a copy of a board.
"""
