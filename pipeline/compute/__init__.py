"""Passes over the sealed votes: a function of each segment, and what its results add up to.

board_cells   counts of votes by board, pair, outcome, fate and rules, as sorted arrays that can be added
board_counts  the counts of a segment from its public files
segment_map   applies a function to every segment, on this machine

A function that is mapped reads files alone and changes nothing, so any engine may run it anywhere, and again.
"""
