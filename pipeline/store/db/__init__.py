"""The database itself: engine, schema, migrations, key files, bulk writes."""
