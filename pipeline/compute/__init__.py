"""Computes counts of votes from the sealed segments of the vote log, by map and reduce.

A segment is the file with the leaves that one seal appended to the log.

segment_map   applies a function to every segment, in threads of this process (the map)
board_cells   represents counts of votes by board as sorted arrays that can be added (the reduce)
board_counts  computes the counts of a segment from its public files

A function that is mapped only reads files and changes nothing. So any engine may run it on any machine, and may run it
twice.
"""
