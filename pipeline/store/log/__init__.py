"""Stores and reads the public log of votes (the vote log), and the snapshot log.

A vote that is committed to the database gets a leaf in the vote log when it is sealed. Each seal appends segments:
ranges of leaves, each with a public file. The snapshot log has a leaf for each published snapshot.

seals             appends committed votes to the log
segment_builder   builds one segment: leaves, hashes, file, counts
vote_leaves       builds the public leaves of stored votes
leaf_index        finds the leaf of a vote and the vote of a leaf
sealed_counts     stores and reads the counts of sealed votes by pair of models
sealed_styles     stores and reads the sealed votes with style counts
newest_votes      reads some columns of the newest sealed votes
kept_votes        keeps a packed copy of what newest_votes reads
sealed_labels     computes which categories, language and rules of the method apply to sealed votes
sealed_boards     stores and reads the counts of sealed votes by category, language and rules
frequent_prompts  decides which votes on frequent prompts are in the sample that counts
board_recount     counts the votes of segments again from their public files
archive           moves the votes of old segments from the hot tables to the archive
retractions       retracts votes
voter_sums        stores the sums over voters from which intervals are computed
manifests         stores the manifests of the snapshot log
tile_cache        writes the hashes from which tiles and proofs are read
segment_comparison  compares one segment with the stored votes, for `reverification`
reverification    compares the log with the stored votes
"""
