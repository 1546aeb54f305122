"""Adds tables for the operators' log, held publications and correction notices.

Rows of the log and of the notices can only be appended: triggers refuse UPDATE and DELETE, and in PostgreSQL TRUNCATE.
In SQLite a trigger also refuses INSERT OR REPLACE of an existing row, which would delete the row.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BIG, _TEXT = sa.BigInteger(), sa.Text()
# SQLite numbers rows of an INTEGER key only.
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_APPEND_ONLY = {"operator_log": "entry_no", "notice": "notice_no"}


def upgrade() -> None:
    """Create the tables of the operators' log, of held publications and of notices, with their triggers."""
    on_server = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "operator_log",
        sa.Column("entry_no", _NUMBER, sa.Identity(), primary_key=True),
        sa.Column("at", _BIG, nullable=False),
        *(
            sa.Column(name, _TEXT, nullable=False)
            for name in ("operator", "via", "origin", "action", "target", "reason")
        ),
        sa.Column("before", _TEXT),
        sa.Column("after", _TEXT),
        sa.Column("database_role", _TEXT, server_default=sa.text("SESSION_USER") if on_server else None),
    )
    op.create_index("ix_operator_log_action", "operator_log", ["action", "at"])
    op.create_table(
        "publication_hold",
        sa.Column("snapshot_id", _TEXT, primary_key=True),
        sa.Column("after", _BIG, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("moves", _TEXT, nullable=False),
        sa.Column("released_at", _BIG),
        sa.Column("released_by", _TEXT),
        sa.Column("released_reason", _TEXT),
    )
    op.create_table(
        "notice",
        sa.Column("notice_no", _NUMBER, sa.Identity(), primary_key=True),
        sa.Column("sequence", _BIG, nullable=False),
        *(sa.Column(name, _TEXT, nullable=False) for name in ("snapshot_id", "text", "name")),
        sa.Column("at", _BIG, nullable=False),
    )
    for statement in _server_triggers() if on_server else _sqlite_triggers():
        op.execute(statement)


def _server_triggers() -> list[str]:
    refuse = """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'table % is append-only: its rows are never changed or deleted', TG_TABLE_NAME
                USING ERRCODE = 'insufficient_privilege';
        END $$
    """
    triggers = [
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in _APPEND_ONLY
    ]
    return [refuse, *triggers]


def _sqlite_triggers() -> list[str]:
    found = []
    for table, number in _APPEND_ONLY.items():
        refuse = (
            f"BEGIN SELECT RAISE(ABORT, 'table {table} is append-only: its rows are never changed or deleted'); END"
        )
        found += [
            f"CREATE TRIGGER {table}_{what.lower()} BEFORE {what} ON {table} {refuse}" for what in ("UPDATE", "DELETE")
        ]
        there = f"EXISTS (SELECT 1 FROM {table} WHERE {number} = NEW.{number})"  # noqa: S608
        found.append(f"CREATE TRIGGER {table}_replace BEFORE INSERT ON {table} WHEN {there} {refuse}")
    return found
