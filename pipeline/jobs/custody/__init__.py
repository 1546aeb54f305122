"""Custody of the public ledger: verification, audit, witnesses, retraction, key rotation."""
