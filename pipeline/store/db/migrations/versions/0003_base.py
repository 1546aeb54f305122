"""Creates every table as of revision 0003, the base of all later revisions.

Earlier versions of the project used the revisions 0001 and 0002, and revision ids are never reused. A store of revision
0002 has the tables of 0003 and two tables of a hash chain. These two are dropped, and the revision is changed. Older
stores are refused.

The tables are written out here and not imported from `pipeline.store.db.schema`, because later versions change them
there.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects.postgresql import UUID

from pipeline.errors import StoreUnavailable

revision = "0003"
down_revision = None
branch_labels = None
depends_on = None

_BIG, _INT, _SMALL = sa.BigInteger(), sa.Integer(), sa.SmallInteger()
_DOUBLE: Any = sa.Double()
_TEXT, _BYTES, _BOOL = sa.Text(), sa.LargeBinary(), sa.Boolean()
# 128 bits of a vote's id; UUID is PostgreSQL's type for 16 bytes.
_KEY = sa.LargeBinary().with_variant(UUID(), "postgresql")
# SQLite numbers rows of an INTEGER key only.
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def upgrade() -> None:
    """Create every table in an empty database."""
    metadata.create_all(op.get_bind(), checkfirst=False)


def restamp(connection: sa.Connection) -> None:
    """Turn a store of revision 0002 into one of revision 0003, in the transaction of the caller.

    Both revisions have the same tables, apart from two tables of the hash chain of revision 0001. These two must be
    empty and are dropped. Then all other tables are compared with those of 0003.

    Raises:
        StoreUnavailable: the hash chain has rows, or the tables differ from those of 0003. The caller must roll back.
    """
    where = connection.engine.url.render_as_string(hide_password=True)
    for name in ("first_segment_range", "first_segment"):
        rows = connection.scalar(sa.text(f"SELECT count(*) FROM {name}"))  # noqa: S608
        if rows:
            raise StoreUnavailable(
                f"{where}: expected table {name} to be empty in a store of version 0002, found {rows} rows: a hash "
                "chain of the first version, which this code cannot verify. Use the code that made this store, or read "
                "the votes into a new one (`integrity work --store`)"
            )
        connection.execute(sa.text(f"DROP TABLE {name}"))
    differences = compare_metadata(MigrationContext.configure(connection, opts={"include_name": _ours}), metadata)
    if differences:
        raise StoreUnavailable(
            f"{where}: expected the tables of version 0002, found {len(differences)} difference(s), the first: "
            f"{differences[0]}. Undo what has changed the tables, then run `integrity migrate`"
        )
    connection.execute(sa.text("UPDATE alembic_version SET version_num = '0003'"))


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    """Return whether Alembic compares an object. Tables that `metadata` does not name are not compared."""
    return kind != "table" or name in metadata.tables


def _columns(kind: Any, names: str, **options: Any) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, **{"nullable": False, **options}) for name in names.split()]


def _nullable(kind: Any, names: str) -> list[sa.Column[Any]]:
    return _columns(kind, names, nullable=True)


def _keys(kind: Any, names: str, **options: Any) -> list[sa.Column[Any]]:
    return _columns(kind, names, primary_key=True, **options)


def _numbered(name: str) -> sa.Column[Any]:
    return sa.Column(name, _NUMBER, sa.Identity(), primary_key=True)


def _table(name: str, *items: sa.schema.SchemaItem) -> None:
    sa.Table(name, metadata, *items)


def _ordered(name: str, *items: sa.schema.SchemaItem) -> None:
    """Define a table whose rows SQLite stores in the order of the primary key."""
    sa.Table(name, metadata, *items, sqlite_with_rowid=False)


_table(
    "alert",
    *_keys(_TEXT, "alert_id"),
    *_columns(_TEXT, "detector severity subject_kind subject direction state"),
    *_columns(_BIG, "opened_at partition_no offset"),
    *_columns(_INT, "level"),
    *_nullable(_DOUBLE, "e_value"),
    *_columns(_TEXT, "evidence"),
    *_nullable(_BIG, "snoozed_until over_at"),
    sa.Index("ix_alert_subject", "detector", "subject", "direction"),
)
_table(
    "alert_event",
    _numbered("event_no"),
    *_columns(_TEXT, "alert_id"),
    *_columns(_BIG, "at"),
    *_columns(_TEXT, "action name reason"),
)
_ordered(
    "batch",
    *_keys(_BIG, "partition_no first_offset"),
    *_columns(_BIG, "next_offset epoch"),
    *_columns(_INT, "read accepted late quarantined duplicate rejected"),
)
_table("blind", *_keys(_BIG, "first_leaf", autoincrement=False), *_columns(_BYTES, "blinds"))
_ordered("closed_window", *_keys(_BIG, "start"), *_columns(_INT, "accepted late"))
_table("cosignature", *_keys(_BIG, "sequence"), *_keys(_TEXT, "witness"), *_columns(_BYTES, "line"))
_ordered("detector_state", *_keys(_TEXT, "detector"), *_columns(_BYTES, "state"))
_ordered(
    "duplicate",
    *_keys(_BIG, "partition_no offset"),
    *_columns(_BIG, "first_partition_no first_offset"),
    *_columns(_BOOL, "same_body"),
)
_table(
    "exclusion",
    _numbered("exclusion_no"),
    *_columns(_TEXT, "action kind target reason name"),
    *_columns(_BIG, "at"),
    *_nullable(_TEXT, "alert_id"),
)
_ordered("in_force", *_keys(_BIG, "partition_no from_offset"), *_columns(_BIG, "sequence"))
_table("lease", *_keys(_TEXT, "name"), *_columns(_TEXT, "owner"), *_columns(_BIG, "epoch expires_at"))
_ordered("left_out", *_keys(_BIG, "partition_no first"), *_columns(_BIG, "end"))
_table(
    "manifest",
    *_keys(_BIG, "sequence", autoincrement=False),
    *_columns(_TEXT, "snapshot_id sha256"),
    *_columns(_BYTES, "leaf body checkpoint votes_checkpoint"),
    sa.UniqueConstraint("snapshot_id"),
    sa.UniqueConstraint("sha256"),
)
_table("meta", *_keys(_TEXT, "name"), *_columns(_TEXT, "value"))
_table("model", _numbered("model_no"), *_columns(_TEXT, "name"), sa.UniqueConstraint("name"))
_table(
    "outbox",
    _numbered("outbox_no"),
    *_columns(_BIG, "source_no"),
    *_columns(_TEXT, "topic"),
    *_columns(_BYTES, "key value"),
)
_table(
    "partition",
    _numbered("partition_no"),
    *_columns(_BIG, "source_no"),
    *_columns(_INT, "number"),
    *_columns(_BIG, "next_offset epoch"),
    *_columns(_TEXT, "owner"),
    *_nullable(_BIG, "event_time"),
    *_columns(_BIG, "sealed_offset state_offset updated_at"),
    sa.UniqueConstraint("source_no", "number"),
)
_table("position", *_keys(_TEXT, "name"), *_columns(_BIG, "position"))
_table(
    "registry_event",
    _numbered("event_no"),
    *_columns(_TEXT, "event_id"),
    *_columns(_BIG, "at"),
    *_columns(_TEXT, "type body"),
    sa.UniqueConstraint("event_id"),
)
_ordered(
    "registry_reject",
    *_keys(_TEXT, "source"),
    *_keys(_BIG, "offset"),
    *_columns(_BIG, "appended_at"),
    *_columns(_TEXT, "reason detail"),
    *_nullable(_TEXT, "origin"),
    *_columns(_BYTES, "sha256 sample"),
)
_table(
    "reject",
    *_keys(_BIG, "partition_no offset"),
    *_columns(_BIG, "appended_at"),
    *_columns(_TEXT, "reason detail"),
    *_nullable(_TEXT, "origin"),
    *_columns(_BYTES, "sha256 sample"),
)
_table(
    "retraction",
    _numbered("retraction_no"),
    *_columns(_BIG, "partition_no offset"),
    *_columns(_TEXT, "vote_id reason name"),
    *_columns(_BIG, "at"),
    *_nullable(_BIG, "retracts leaf"),
    sa.UniqueConstraint("partition_no", "offset"),
    sa.UniqueConstraint("leaf"),
)
_table("sealed_total", *_keys(_TEXT, "name"), *_columns(_BIG, "log_size"), *_columns(_BYTES, "counts"))
_table(
    "segment",
    _numbered("segment_no"),
    *_columns(_BIG, "log_size leaves"),
    *_columns(_TEXT, "root"),
    *_columns(_BYTES, "edge"),
    *_columns(_TEXT, "sha256"),
    *_columns(_BYTES, "counts"),
    *_nullable(_BYTES, "styles"),
    *_columns(_BIG, "at"),
    sa.UniqueConstraint("log_size"),
)
_table(
    "segment_range",
    *_keys(_BIG, "segment_no partition_no"),
    *_columns(_BIG, "first_offset next_offset first_leaf"),
    *_nullable(_BYTES, "runs"),
)
_table(
    "snapshot",
    *_keys(_TEXT, "snapshot_id"),
    *_columns(_TEXT, "work_key"),
    *_columns(_BIG, "log_size"),
    *_columns(_TEXT, "body"),
    *_columns(_BYTES, "reference"),
    *_columns(_BIG, "rated_at"),
    *_nullable(_BIG, "sequence"),
    *_nullable(_TEXT, "previous digest"),
    *_nullable(_BIG, "published_at"),
    sa.UniqueConstraint("work_key"),
    sa.UniqueConstraint("sequence"),
    sa.UniqueConstraint("previous"),
    sa.UniqueConstraint("digest"),
)
_table(
    "snapshot_row",
    *_keys(_TEXT, "snapshot_id view model"),
    *_columns(_DOUBLE, "rating lower upper"),
    *_columns(_INT, "rank rank_best rank_worst"),
    *_columns(_BIG, "votes"),
)
_table("source", _numbered("source_no"), *_columns(_TEXT, "name"), sa.UniqueConstraint("name"))
_table(
    "sweep",
    _numbered("sweep_no"),
    *_columns(_BIG, "log_size event_no submitted_before rejected_before submitted rejected at"),
    sa.UniqueConstraint("log_size", "event_no"),
)
_table("term", _numbered("term_no"), *_columns(_TEXT, "kind text"), sa.UniqueConstraint("kind", "text"))
_table(
    "token",
    _numbered("token_no"),
    *_columns(_TEXT, "name scopes sha256 made_by reason"),
    *_columns(_BIG, "made_at expires_at"),
    *_nullable(_BIG, "revoked_at"),
    *_nullable(_TEXT, "revoked_by revoked_reason"),
    sa.UniqueConstraint("sha256"),
)
_table(
    "verdict",
    *_keys(_TEXT, "verdict_id"),
    *_columns(_TEXT, "suite"),
    *_columns(_BIG, "log_size"),
    *_columns(_BOOL, "success"),
    *_columns(_TEXT, "results"),
    *_columns(_BIG, "at"),
)
_ordered(
    "vote",
    *_keys(_BIG, "partition_no offset"),
    *_columns(_TEXT, "vote_id"),
    *_columns(_BIG, "voter cast_at appended_at"),
    *_columns(_INT, "model_a model_b"),
    *_columns(_SMALL, "outcome fate"),
    *_columns(_INT, "language category network"),
    *_columns(_BIG, "prompt"),
    *_nullable(_BIG, "voter_since"),
    *_nullable(_BYTES, "style"),
    sa.Index("ix_vote_voter", "voter", "partition_no", "offset"),
)
_ordered("vote_key", *_keys(_KEY, "key"), *_columns(_BIG, "partition_no offset"))
_ordered("voter_state", *_keys(_BIG, "partition_no voter"), *_columns(_BYTES, "state"))
_ordered("window", *_keys(_BIG, "start partition_no"), *_columns(_INT, "accepted late"), *_columns(_BYTES, "counts"))
