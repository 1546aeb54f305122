"""Follows logs that grow and rotate, and publishes each line once.

A rotation renames or copies a log, and lets the program that writes it begin a new one.

prefix_digest     computes the digest of the first bytes of a log, by which a copy of the log is recognised
log_files         lists the files that belong to a log or a folder
log_file          reads the bytes of a log, compressed or not, even after it was renamed
log_position      describes how far a log was read, as the state file keeps it
position_file     reads and writes the state file, which only one process may use at a time
line_reader       reads the complete lines of a log after a position
log_reading       reads a log from a position on, and detects that the log is truncated meanwhile
log_recognition   decides whether an unknown file is a new log, a continued log or a copy
lineage_ids       derives vote ids for logs that had the same name one after another
log_batch         builds the events of consecutive lines of a log
open_logs         keeps files open, so that they can be read after they were deleted
settling_files    remembers new files that may still be growing copies
log_tracker       reads what is new in all logs
log_follower      runs the loop: read, send, wait for the broker, store the positions

A position is stored after the broker has confirmed the votes before it. A follower that was killed therefore sends
some votes again, with the same ids, and the store counts each vote once. A file is recognised by its inode and its
content. So a renamed log is not read again, and of a copy only the bytes after the stored position of the log are read.
A line is read when it ends with a newline.
"""
