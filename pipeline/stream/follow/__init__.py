"""Follows logs that grow and rotate, and publishes each line once.

prefix_digest     the digest of the first bytes of a log, by which a copy of it is recognised
log_files         the files that belong to a log or a folder
log_file          reads a log's bytes, compressed or not, wherever it was moved
log_position      how far a log was read, and its place in the state file
position_file     the state file: one owner, written atomically
line_reader       the complete lines of a log after a position
log_recognition   what a file is that was not seen before
lineage_ids       vote ids along the logs that had one name
open_logs         open files, which can be read after they were deleted
log_tracker       which files are new logs, continued logs, or copies of logs
log_follower      the loop: read, send, wait for the broker, remember

Laws: a position is remembered after the broker confirmed the votes before it, so a follower that was killed sends some
votes again, with the same ids, and the store counts each once; a file is recognised by its inode and its content, so a
renamed log is not read again and a copy is read from where the log was read to; a line without its newline waits.
"""
