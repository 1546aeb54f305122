"""The way of a vote.

source/       where events come from: Kafka, a file; one contract
processor.py  pure: a batch and the state before it → fates, evidence, window counts
windows.py    five-minute window counts as arrays
worker.py     claim, poll, write, stop: the loop
batch.py      what was polled, decoded
commit.py     one batch, one transaction
states.py     voter states in memory, written behind
limits.py     when a worker stops reading
publisher.py  files → topics
monitor.py    merged closed windows → what concerns models and the board
"""
