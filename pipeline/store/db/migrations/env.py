"""Alembic runs inside the connection that `store.db.migrate` opened, in its transaction."""

from alembic import context

from pipeline.store.db.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
