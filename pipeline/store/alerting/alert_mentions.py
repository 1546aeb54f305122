"""Finds alerts that name a model, provider, network or voter in any role, as their subject or in their evidence."""

import json

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.alerting.alert_queries import POOLED_VOTERS
from pipeline.store.db import dialect, schema

_ROLES = ("model", "provider")


def names(connection: Connection, subject: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
    """Build the SQL condition that an alert names something, as its subject or in its evidence.

    Alerts about the members of a group of voters do not name the model that the group favours. They name the id of the
    group's alert, and the group's alert is about the model. The condition for a model also holds for these alerts.

    Args:
        connection: reads the store.
        subject: the column or expression with the alert's subject.
        name: the name of a model, provider or network, the pseudonym or label of a voter, or "board".

    Returns:
        The condition, for a query of the table `alert`.
    """
    a = schema.alert.c
    groups = sa.select(a.alert_id).where(a.detector == POOLED_VOTERS, a.subject_kind == "model", a.subject == name)
    wanted = [(role, name) for role in _ROLES] + [("group", one) for one in connection.scalars(groups)]
    # The evidence is JSON as Python writes it; a reading role's view may show it as PostgreSQL writes it.
    texts = {
        json.dumps({key: value}, ensure_ascii=ascii_only)[1:-1] for key, value in wanted for ascii_only in (True, False)
    }
    return sa.or_(subject == name, *(_contains(connection, a.evidence, text) for text in sorted(texts)))


def find_ids(connection: Connection, name: str) -> set[str]:
    """Return the ids of the alerts that name a model, provider, network or voter, as subject or in their evidence."""
    a = schema.alert.c
    return set(connection.scalars(sa.select(a.alert_id).where(names(connection, a.subject, name))))


def _contains(connection: Connection, column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """Return the SQL condition that a column contains a text.

    Upper and lower case differ, unlike with LIKE in SQLite.
    """
    position = sa.func.strpos if dialect.has_server(connection) else sa.func.instr
    return position(column, text) > 0
