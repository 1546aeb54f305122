"""The database and the files beside it.

store_url             a store's URL, and how it is shown
database_copy         a whole database to a file and back
database_facts        what a database says of itself
engine                opens a store: transactions, migration, check of the pseudonym key
dialect               what differs between SQLite and PostgreSQL
sort_order            an order of names that does not depend on the collation
binary_copy           PostgreSQL's binary COPY, in and out
array_parameters      arrays as one parameter of PostgreSQL
connection_handover   lets only one thread at a time use a connection
leases                lets only one process at a time do a job
schema                the tables, by subject
migrate               brings a store to this version's tables; migrations: the steps
key_files             the key files of a store
ledger_files          the files of the public ledger
"""
