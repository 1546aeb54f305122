"""Simulates a campaign of votes on a test store, and times how soon the pipeline reacts, for `integrity drill`.

Each time is measured from the first vote of the campaign. The last of these times is that of the first board that does
not count the campaign's votes.

campaign     plans the votes of a campaign for a model of the board
chain        sends the votes, and waits for alert, incident, page, exclusion and snapshot
store_topic  checks that the store reads the topic to which the votes go
board_copy   copies a board, and runs worker, monitor, exporter and Prometheus on the copy

No invented vote reaches a published board. The votes go either to a topic that is read by a store marked as a test
(`pipeline.store.boards.drill_mark`), or to a copy of a board.
"""
