"""The database of a store, its key files and its ledger files.

store_url             parses a store's URL, and shows it without secrets
database_copy         a whole database to a file and back
database_facts        program, version, encoding and collation of a database
engine                opens a store: transactions, migration, check of the voter key
dialect               what differs between SQLite and PostgreSQL
sort_order            an order of names that does not depend on the collation
binary_copy           PostgreSQL's binary COPY, in and out
csv_query             a range of rows as one CSV text
array_parameters      arrays as one parameter of PostgreSQL
connection_handover   lets only one thread at a time use a connection
leases                lets only one process at a time do a job
schema                the tables, by subject
migrate               upgrades the tables of a store to this version; migrations: the steps
key_files             the key files of a store
ledger_files          the files of the public ledger
"""
