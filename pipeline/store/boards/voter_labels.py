"""Labels of voters for the public: an alert or exclusion shows a label that is made for this alert alone.

Laws: a label is random, so nobody can derive it from a voter's id or pseudonym, and two alerts about one voter cannot
be linked; an exclusion has the label of the alert behind it. Snapshots name excluded voters by label; `resolve` finds
their votes. After the erasure of a voter nobody can resolve the voter's labels.
"""

import re
import secrets
from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.pseudonym import parse_pseudonym
from pipeline.store.db import schema

_LABEL = re.compile(r"voter-[0-9a-f]{12}")
_PSEUDONYM = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")

Entry = Mapping[str, str]
"""An exclusion with at least `kind` and `target`."""


def new_label() -> str:
    """Return a new random label."""
    return f"voter-{secrets.token_hex(6)}"


def is_label(text: str) -> bool:
    """Return whether a text is a label, not a pseudonym."""
    return _LABEL.fullmatch(text) is not None


def label_of(connection: Connection, voter: str, alert_id: str | None) -> str:
    """Return the label for an entry about a voter: its alert's, else the previous entry's, else a new label.

    Args:
        voter: pseudonym as shown.
        alert_id: the alert that the entry follows from.
    """
    a, e = schema.alert.c, schema.exclusion.c
    if alert_id is not None:
        label = connection.scalar(sa.select(a.label).where(a.alert_id == alert_id, a.subject == voter))
        if label is not None:
            return str(label)
    before = sa.select(e.label).where(e.kind == "voter", e.target == voter, e.label.is_not(None))
    label = connection.scalar(before.order_by(e.exclusion_no.desc()).limit(1))
    return new_label() if label is None else str(label)


def hide(connection: Connection, text: str, alert_id: str) -> str:
    """Return a text with the label of an alert's voter instead of the pseudonym."""
    a = schema.alert.c
    query = sa.select(a.subject, a.label).where(a.alert_id == alert_id, a.label.is_not(None))
    row = connection.execute(query).one_or_none()
    return text if row is None else text.replace(row.subject, row.label)


def without_voters(connection: Connection, text: str) -> str:
    """Return a text for the public, such as a reason, with the label of each voter whose pseudonym it names."""
    v, found = schema.vote.c, set(_PSEUDONYM.findall(text))
    for word in sorted(found):
        number = parse_pseudonym(word)
        if connection.scalar(sa.select(v.offset).where(v.voter == number, v.voter != 0).limit(1)) is not None:
            text = text.replace(word, label_of(connection, word, None))
    return text


def public_subjects(connection: Connection, alert_ids: Collection[str]) -> dict[str, str]:
    """Return alert → its subject in the form for the public: a voter by label."""
    a = schema.alert.c
    query = sa.select(a.alert_id, sa.func.coalesce(a.label, a.subject)).where(a.alert_id.in_(sorted(alert_ids)))
    return {str(alert_id): str(subject) for alert_id, subject in connection.execute(query)}


def resolve(connection: Connection, entries: Iterable[Entry]) -> list[dict[str, str]]:
    """Return exclusions with voters by pseudonym; a label that cannot be resolved stays."""
    given, e = [dict(entry) for entry in entries], schema.exclusion.c
    labelled = [entry for entry in given if entry["kind"] == "voter" and is_label(entry["target"])]
    if labelled:
        known = sa.select(e.label, e.target).where(e.kind == "voter", e.label.is_not(None))
        voters = {row.label: row.target for row in connection.execute(known)}
        for entry in labelled:
            entry["target"] = voters.get(entry["target"], entry["target"])
    return given


def pseudonyms(targets: Iterable[str]) -> list[int]:
    """Return the pseudonyms among the targets of exclusions of voters."""
    return [parse_pseudonym(target) for target in targets if not is_label(target)]


def publish(connection: Connection, entries: Iterable[Entry]) -> list[dict[str, str]]:
    """Return exclusions with voters by label; exclusions of earlier snapshots name pseudonyms."""
    return [
        {**entry, "target": label_of(connection, entry["target"], None)}
        if entry["kind"] == "voter" and not is_label(entry["target"])
        else dict(entry)
        for entry in entries
    ]
