"""The public log of votes, and the snapshot log.

seals             appends committed votes to the log
segment_builder   builds one segment: leaves, hashes, file, counts
vote_leaves       stored votes as public leaves
leaf_index        votes ↔ leaves
sealed_counts     counts of sealed votes by pair
sealed_styles     sealed votes with style counts
sealed_labels     rules, categories and language of sealed votes
sealed_boards     counts of sealed votes by category, language and rules
frequent_prompts  which votes on frequent prompts stay in the sample that counts
board_recount     counts segments again from their public files
retractions       votes that must not count
manifests         the snapshot log
tile_cache        the hashes that tiles and proofs are read from
reverification    compares the log with the stored votes
"""
