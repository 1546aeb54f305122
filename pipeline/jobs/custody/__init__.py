"""Protects the public ledger: verifies, audits and backs it up, and runs witnesses and the actions of operators.

ledger_verification.py  recomputes everything that is published from the votes
ledger_audit.py         runs the daily audit, which opens alerts
operator_actions.py     retracts a vote, erases a voter, rotates the signing key
archiving.py            moves old sealed votes out of the hot tables
erasure_remains.py      finds the data that an erasure leaves in Kafka and in the database file
backup.py               writes a backup: the database, the ledger's files, the keys
backup_files.py         writes and reads a backup as a folder or a tar, with the digests of its files
ledger_copy.py          copies the public ledger to a folder or an object store, to be served from there
copy_place.py           writes the files of such a copy
vote_export.py          exports votes without data about persons
witnessing.py           runs the actions of a witness, and those of the board towards witnesses
"""
