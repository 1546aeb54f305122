"""Runs audits on data that one transaction reads from a store. An audit checks the board or the registry once a day.

audit_input.py      reads the input of the audits
vote_sums.py        sums the votes block by block, and keeps some columns for audits that compare votes
board_audits.py     runs every audit, and contains the audits of votes and boards
registry_audits.py  contains the audits that compare the registry with the board
removals.py         finds models that were removed or not shown for a time, without a public notice
sweep.py            runs all audits, evaluates the policy, and opens and clears alerts
provider_page.py    builds the page of facts about a provider
variants_story.py   builds sentences with proofs about private variants, claims and removals
"""
