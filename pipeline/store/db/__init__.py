"""Opens and describes the database of a store, and its key files and ledger files.

store_url             parses the URL of a store, and shows it without secrets
database_copy         writes a whole database to a file and back
database_facts        reads program, version, encoding and collation of a database
engine                opens a store: migrates it, checks the voter key, opens transactions
dialect               contains what differs between SQLite and PostgreSQL
sort_order            sorts names in an order that does not depend on the collation
binary_copy           writes and reads rows with PostgreSQL's binary COPY
csv_query             reads a range of rows as one CSV text
array_parameters      passes arrays to PostgreSQL as one parameter
array_dumpers         converts these array parameters to bytes for PostgreSQL's driver
connection_handover   lets only one thread at a time use a connection
leases                lets only one process at a time do a job
schema                defines the tables, by subject
migrate               upgrades the tables of a store to this version
migrations            contains the steps of the upgrade
role_grants           gives the database roles their rights on the tables
key_files             reads and writes the key files of a store
archive_folder        reads and writes the private files of archived votes
free_space            gives the space of deleted rows back to the disk
ledger_files          reads and writes the files of the public ledger
"""
