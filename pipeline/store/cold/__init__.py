"""Keeps old sealed votes in encrypted files instead of the database's tables (the hot tables).

vote_rows         a stored vote as a row of Arrow, read from the hot tables or packed into a chunk of a file
archive_file      writes and reads an archive file: encrypted chunks of rows and of blinds
id_file           a file of sorted ids, and the search in it
cold_files        which files hold which votes, as the tables say
cold_votes        reads archived votes by range of offsets, by position, or by a condition
cold_ids          finds archived votes by their ids
vote_positions    reads single votes, hot or archived, by their positions
vote_table        one SQL table of votes: the hot votes, and the archived votes that a query needs
cold_erasure      rewrites the files that hold private fields of erased votes
"""
