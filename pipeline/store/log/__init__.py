"""The public log of votes, and the snapshot log.

seals             appends committed votes to the log
segment_builder   builds one segment: leaves, hashes, file, counts
vote_leaves       builds the public leaves of stored votes
leaf_index        finds the leaf of a vote and the vote of a leaf
sealed_counts     counts of sealed votes by pair
sealed_styles     sealed votes with style counts
newest_votes      reads a few columns of the newest sealed votes
sealed_labels     rules, categories and language of sealed votes
sealed_boards     counts of sealed votes by category, language and rules
frequent_prompts  decides which votes on frequent prompts are in the sample that counts
board_recount     counts the votes of segments again from their public files
retractions       retracts votes
voter_sums        keeps the sums over voters from which intervals are computed
manifests         the snapshot log
tile_cache        writes the hashes from which tiles and proofs are read
reverification    compares the log with the stored votes
"""
