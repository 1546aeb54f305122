"""Adds voter labels: random names in alerts and exclusions that the public sees instead of pseudonyms.

Every alert about a voter gets its own label. An exclusion of a voter gets the label of the alert that caused it. All
exclusions of a voter that no alert caused get one common label.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns for voter labels to alerts and exclusions, and fill them."""
    for table in ("alert", "exclusion"):
        op.add_column(table, sa.Column("label", sa.Text()))
    connection = op.get_bind()
    alerts = connection.execute(sa.text("SELECT alert_id, subject FROM alert WHERE subject_kind = 'voter'")).all()
    labels = {(alert_id, subject): f"voter-{secrets.token_hex(6)}" for alert_id, subject in alerts}
    for (alert_id, _), label in labels.items():
        connection.execute(
            sa.text("UPDATE alert SET label = :label WHERE alert_id = :id"), {"label": label, "id": alert_id}
        )
    entries = connection.execute(
        sa.text("SELECT exclusion_no, target, alert_id FROM exclusion WHERE kind = 'voter' ORDER BY exclusion_no")
    ).all()
    last: dict[str, str] = {}
    for number, voter, alert_id in entries:
        label = labels.get((alert_id, voter)) or last.get(voter) or f"voter-{secrets.token_hex(6)}"
        last[voter] = label
        connection.execute(
            sa.text("UPDATE exclusion SET label = :label WHERE exclusion_no = :number"),
            {"label": label, "number": number},
        )
