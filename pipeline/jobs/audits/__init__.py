"""Runs audits on data that one transaction reads from a store.

audit_input.py      reads the input of the audits
board_audits.py     runs every audit, and contains the audits of votes and boards
registry_audits.py  audits that compare the registry with the board
sweep.py            runs all audits, evaluates the policy, and opens and clears alerts
provider_page.py    the page of facts about a provider
"""
