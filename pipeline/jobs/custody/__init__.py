"""Custody of the public ledger.

ledger_verification.py  recomputes everything that is published from the votes
ledger_audit.py         the daily audit, which opens alerts
operator_actions.py     retract a vote, erase a voter, rotate the signing key
erasure_remains.py      what an erasure leaves in Kafka and in the database file
backup.py               writes a backup: the database, the ledger's files, the keys
backup_files.py         a backup as a folder or a tar, with the digests of its files
witnessing.py           a witness, and the board's requests to it
"""
