"""Creates and looks up voter labels: random names that the public sees instead of the pseudonyms of voters.

Each alert about a voter has its own label. Nobody can therefore tell that two alerts are about the same voter, or
compute a label from an id or a pseudonym. An exclusion has the label of the alert that caused it. Snapshots name
excluded voters by label, and `resolve` returns their pseudonyms. After the erasure of a voter, nobody can find the
pseudonym from a label.
"""

import re
import secrets
from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.codenames import codename
from pipeline.events.pseudonym import parse_pseudonym
from pipeline.store.cold import vote_table
from pipeline.store.db import schema

_LABEL = re.compile(r"voter-[0-9a-f]{12}")
_PSEUDONYM = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_BETWEEN_WORDS = r"[\s_\u2010-\u2015-]+"

Entry = Mapping[str, str]
"""An exclusion with at least `kind` and `target`."""


def new_label() -> str:
    """Return a new random voter label: "voter-" followed by 12 hexadecimal digits."""
    return f"voter-{secrets.token_hex(6)}"


def is_label(text: str) -> bool:
    """Return whether a text has the form of a voter label. No pseudonym has this form."""
    return _LABEL.fullmatch(text) is not None


def label_of(connection: Connection, voter: str, alert_id: str | None) -> str:
    """Choose the label for a new exclusion of a voter. The caller must store it.

    The label of the alert that caused the exclusion is used. Without such an alert, the label of the voter's previous
    exclusion is used. If there is neither, the label is new.

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
    """Replace the pseudonym of an alert's voter by the alert's label in a text.

    The text is returned unchanged if no alert has this id, or if the alert is not about a voter.
    """
    a = schema.alert.c
    query = sa.select(a.subject, a.label).where(a.alert_id == alert_id, a.label.is_not(None))
    row = connection.execute(query).one_or_none()
    return text if row is None else text.replace(row.subject, row.label)


def without_voters(connection: Connection, text: str) -> str:
    """Replace the pseudonyms of voters by labels in a text, such as a reason.

    Only the pseudonym of a voter with a stored vote is replaced.
    """
    found = set(_PSEUDONYM.findall(text))
    v = vote_table.votes_of(connection, map(parse_pseudonym, found)).c
    for word in sorted(found):
        number = parse_pseudonym(word)
        if connection.scalar(sa.select(v.offset).where(v.voter == number, v.voter != 0).limit(1)) is not None:
            text = text.replace(word, label_of(connection, word, None))
    return text


def without_names(connection: Connection, reason: str) -> str:
    """Replace pseudonyms and codenames of voters by labels, in the reason that an operator gave for a decision."""
    return without_voters(connection, without_codenames(connection, reason))


def without_codenames(connection: Connection, reason: str, alert_id: str | None = None) -> str:
    """Replace the codenames of voters by labels in the reason of a decision.

    Only voters with an alert are searched for, because operators see no other codenames. Upper and lower case do not
    matter, nor do hyphens or spaces between the words of a codename. A call takes about 12 ms for a thousand voters, so
    make only one call for a decision.

    Args:
        connection: reads the store.
        reason: the text of the reason, in which codenames may occur.
        alert_id: id of the alert that the decision is about, None if there is none. The voter of this alert gets the
            label of the alert.
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
    """Return the subjects of alerts as the public sees them, as alert id → subject.

    The subject of an alert about a voter is its label, never the pseudonym. Unknown ids are left out.
    """
    a = schema.alert.c
    query = sa.select(a.alert_id, sa.func.coalesce(a.label, a.subject)).where(a.alert_id.in_(sorted(alert_ids)))
    return {str(alert_id): str(subject) for alert_id, subject in connection.execute(query)}


def resolve(connection: Connection, entries: Iterable[Entry]) -> list[dict[str, str]]:
    """Return exclusions as dictionaries in which pseudonyms replace the labels of voters.

    The label of an erased voter is not replaced.

    Args:
        connection: reads the store.
        entries: exclusions with at least `kind` and `target`.
    """
    given, e = [dict(entry) for entry in entries], schema.exclusion.c
    labelled = [entry for entry in given if entry["kind"] == "voter" and is_label(entry["target"])]
    if labelled:
        known = sa.select(e.label, e.target).where(e.kind == "voter", e.label.is_not(None))
        voters = {row.label: row.target for row in connection.execute(known)}
        for entry in labelled:
            entry["target"] = voters.get(entry["target"], entry["target"])
    return given


def pseudonyms(targets: Iterable[str]) -> list[int]:
    """Parse the targets of exclusions of voters into pseudonyms. Targets that are labels are left out."""
    return [parse_pseudonym(target) for target in targets if not is_label(target)]


def publish(connection: Connection, entries: Iterable[Entry]) -> list[dict[str, str]]:
    """Return the exclusions of a snapshot as dictionaries in which labels replace pseudonyms.

    Only snapshots of early versions contain pseudonyms.
    """
    return [
        {**entry, "target": label_of(connection, entry["target"], None)}
        if entry["kind"] == "voter" and not is_label(entry["target"])
        else dict(entry)
        for entry in entries
    ]
