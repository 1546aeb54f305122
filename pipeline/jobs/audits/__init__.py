"""Audits over one consistent read of a store.

audit_input.py      reads what the audits need
board_audits.py     runs every audit, and contains the audits of votes and boards
registry_audits.py  audits that compare the registry with the board
sweep.py            all audits, the policy, and the alerts that follow
provider_page.py    the page of facts about a provider
"""
