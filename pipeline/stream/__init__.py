"""Runs the long-lived processes: the worker reads, scores and stores votes, and the monitor closes windows.

source/               reads events from a source: Kafka, a file
worker.py             runs the loop: claim partitions, poll, write, stop
owned_partition.py    claims the partitions that a worker reads, and describes each of them
decoding.py           decodes polled records into votes and rejects
batch_decoder.py      defines what a worker's decoder is, and decodes in the worker's process
decoder_process.py    decodes in a process of its own
start_decoder.py      chooses the decoder of a worker
record_screening.py   checks the headers of records: signature, reject, pseudonym
background_writer.py  commits one batch while the next is polled
batch_writer.py       writes one batch in one transaction
name_numbering.py     replaces the names in a batch by the integers of the store's dictionary
name_quota.py         rejects votes on too many new model names
deduplication.py      finds votes whose id is already known
voter_state_cache.py  keeps voter states in memory, and writes them with a delay
reference_cache.py    keeps the references of recent snapshots, with which votes are compared
ingest_tally.py       counts records by fate
topic_messages.py     builds messages for the topics of alerts and rejects
outbox_sender.py      sends the messages that wait in the outbox, topic by topic
kafka_sender.py       delivers messages to topics within seconds, or raises an error
topic_check.py        finds topics that are missing or forbidden, before work begins
retry.py              retries transient database errors
liveness.py           decides whether a worker is healthy
reject_limit.py       stops a worker when too many records are rejected
file_intake.py        lets one process at a time read files into a store
halt.py               detects a replaced log; opens the alert of a halted worker
gc_tuning.py          sets the garbage collector's thresholds of a worker
battle_reader.py      reads the topic of issued battles into the store
registry_reader.py    reads the registry topic into the store
window_monitor.py     closes windows and runs the window detectors
merged_watermark.py   merges the watermarks of all partitions
text_checks.py        computes fields from the texts of a battle when it is published
text_reading.py       builds the functions with which a command checks the texts of records
near_prompts.py       computes one hash for copies and near copies of a prompt
band_index.py         finds the signatures that have a band in common
durable_file.py       replaces a small file atomically
topic_creation.py     creates the topics that do not exist
kafka_publisher.py    publishes files to topics
follow/               publishes the lines of growing logs to topics
record_preparation.py prepares a record for a topic: removes raw voter ids, adds a signature
"""
