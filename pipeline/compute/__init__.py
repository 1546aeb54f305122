"""Map and reduce over the sealed segments of the vote log.

segment_map   the map: applies a function to every segment, in threads of this process
board_cells   the reduce: counts of votes by board, pair, outcome, fate and rules, as sorted arrays that can be added
board_counts  computes the counts of a segment from its public files

A function that is mapped only reads files and changes nothing. So any engine may run it on any machine, and may run it
twice.
"""
