"""Creates and resolves labels: random names that alerts and exclusions show to the public instead of pseudonyms.

Each alert about a voter has its own label, so nobody can link two alerts about one voter or derive a label from an id
or a pseudonym. An exclusion has the label of the alert that caused it. Snapshots name excluded voters by label;
`resolve` returns their pseudonyms. After the erasure of a voter, nobody can find the pseudonym from a label.
"""

import re
import secrets
from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.codenames import codename
from pipeline.events.pseudonym import parse_pseudonym
from pipeline.store.db import schema

_LABEL = re.compile(r"voter-[0-9a-f]{12}")
_PSEUDONYM = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_BETWEEN_WORDS = r"[\s_\u2010-\u2015-]+"

Entry = Mapping[str, str]
"""An exclusion with at least `kind` and `target`."""


def new_label() -> str:
    """Return a new random label."""
    return f"voter-{secrets.token_hex(6)}"


def is_label(text: str) -> bool:
    """Return whether a text has the form of a label, which no pseudonym has."""
    return _LABEL.fullmatch(text) is not None


def label_of(connection: Connection, voter: str, alert_id: str | None) -> str:
    """Return the label to store with a new exclusion of a voter. The caller stores it.

    It is the label of the alert that caused the exclusion. Without such an alert, it is the label of the voter's
    previous exclusion. Without a previous exclusion, it is a new label.

    Args:
        connection: reads the store.
        voter: the pseudonym, 16 hexadecimal digits.
        alert_id: id of the alert that caused the exclusion, None if there is none.
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
    """Return a text in which the alert's label replaces the pseudonym of the alert's voter.

    The text is returned unchanged if no alert has this id, or if the alert is not about a voter.
    """
    a = schema.alert.c
    query = sa.select(a.subject, a.label).where(a.alert_id == alert_id, a.label.is_not(None))
    row = connection.execute(query).one_or_none()
    return text if row is None else text.replace(row.subject, row.label)


def without_voters(connection: Connection, text: str) -> str:
    """Return a text, such as a reason, in which labels replace the pseudonyms of voters.

    Only the pseudonym of a voter with a stored vote is replaced.
    """
    v, found = schema.vote.c, set(_PSEUDONYM.findall(text))
    for word in sorted(found):
        number = parse_pseudonym(word)
        if connection.scalar(sa.select(v.offset).where(v.voter == number, v.voter != 0).limit(1)) is not None:
            text = text.replace(word, label_of(connection, word, None))
    return text


def without_codenames(connection: Connection, reason: str, alert_id: str | None = None) -> str:
    """Return the reason of a decision, in which labels replace the codenames of voters.

    Operators read the codenames of voters with an alert, and only these are replaced. Codenames are found in any case,
    with hyphens or spaces between their words. It takes about 12 ms for a thousand voters: call it once for a decision.

    Args:
        connection: reads the store.
        reason: the text of the reason, in which codenames may occur.
        alert_id: id of the alert that the decision is about, whose label its voter gets; None if there is none.
    """
    plain = re.sub(_BETWEEN_WORDS, "-", reason.lower())
    if plain.count("-") < 2:  # the shortest codename has three words
        return reason
    a = schema.alert.c
    voters = sa.select(a.subject).where(a.subject_kind == "voter", a.subject.is_distinct_from(a.label)).distinct()
    found = {words: one for one in connection.scalars(voters) if (words := codename(one)) in plain}
    for words in sorted(found, key=len, reverse=True):  # a long one may contain a short one
        pattern = _BETWEEN_WORDS.join(map(re.escape, words.split("-")))
        reason = re.sub(pattern, label_of(connection, found[words], alert_id), reason, flags=re.IGNORECASE)
    return reason


def public_subjects(connection: Connection, alert_ids: Collection[str]) -> dict[str, str]:
    """Return alert id → subject of the alert as the public sees it. Unknown ids are left out.

    The subject of an alert about a voter is the label of the alert, never the pseudonym.
    """
    a = schema.alert.c
    query = sa.select(a.alert_id, sa.func.coalesce(a.label, a.subject)).where(a.alert_id.in_(sorted(alert_ids)))
    return {str(alert_id): str(subject) for alert_id, subject in connection.execute(query)}


def resolve(connection: Connection, entries: Iterable[Entry]) -> list[dict[str, str]]:
    """Return exclusions as dicts, with pseudonyms instead of the labels of voters. Labels of erased voters stay."""
    given, e = [dict(entry) for entry in entries], schema.exclusion.c
    labelled = [entry for entry in given if entry["kind"] == "voter" and is_label(entry["target"])]
    if labelled:
        known = sa.select(e.label, e.target).where(e.kind == "voter", e.label.is_not(None))
        voters = {row.label: row.target for row in connection.execute(known)}
        for entry in labelled:
            entry["target"] = voters.get(entry["target"], entry["target"])
    return given


def pseudonyms(targets: Iterable[str]) -> list[int]:
    """Return the pseudonyms that exclusions of voters have as targets. Targets that are labels are left out."""
    return [parse_pseudonym(target) for target in targets if not is_label(target)]


def publish(connection: Connection, entries: Iterable[Entry]) -> list[dict[str, str]]:
    """Return exclusions of a snapshot as dicts, with a label instead of each pseudonym.

    Only snapshots of early versions have pseudonyms.
    """
    return [
        {**entry, "target": label_of(connection, entry["target"], None)}
        if entry["kind"] == "voter" and not is_label(entry["target"])
        else dict(entry)
        for entry in entries
    ]
