"""Runs the migrations in the connection and transaction that `store.db.migrate` opened. Alembic executes this file."""

from alembic import context

from pipeline.store.db.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
