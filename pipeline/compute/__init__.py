"""Runs passes over the sealed segments of the vote log, by map and reduce on the engine that INTEGRITY_COMPUTE names.

A pass applies a function to every segment (the map), and adds up the results (the reduce).

A segment is the file with the leaves that one seal appended to the log.

engine          names the engines: threads, processes, and clusters of Dask, Ray and Spark
runner          defines a runner, which applies a function to every item of a pass, in order (the map)
thread_runner   runs functions in threads of this process
joblib_runner   runs functions in processes or on a cluster, through joblib
clusters        connects to a cluster, or starts one on this machine
open_runner     opens the engine that the setting names
task            runs a function in a worker, and carries its error to the caller
ledger_place    reads files of the ledger from a folder or an object store
sealed_segment  describes a segment by the paths of its files, and reads them
board_cells     represents counts of votes by board as sorted arrays that can be added (the reduce)
board_counts    computes the counts of a segment from its public files
style_blocks    packs votes with style counts as blocks, one for each segment
styled_parts    represents the votes of a log with style counts, in parts that are read one at a time
style_counts    counts votes with style counts by pair of models, and sums the style counts of answers by model
style_sums      computes the sums over votes with style counts that a fit under style control needs

A function that is mapped only reads files and changes nothing. So any engine may run it on any machine, and may run it
twice.
"""
