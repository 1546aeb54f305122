"""Reads alerts together with the votes and voters that they are about, for the grouping into incidents.

An alert about a voter is about all counted votes of the voter. An alert about windows is about the votes that its
evidence selects.

One pass reads the votes for all alerts about windows. A second query reads the votes of single voters: those with an
alert, and those who may be followers of an alert about windows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.errors import Usage
from pipeline.events.pseudonym import parse_pseudonym
from pipeline.events.registry_events import Submitted
from pipeline.incidents.carriers import NONE, CarriedAlert, ResultChange
from pipeline.incidents.claims import LIFTED, LOWERED, MODEL, PROVIDER, Claim, claim_of
from pipeline.incidents.leanings import LEAST_VOTES, MOST
from pipeline.scoring.window import NEW_ACCOUNT
from pipeline.store.alerting.alert_queries import MODEL_SHIFT, format_alert, select_alerts, select_votes, with_end
from pipeline.store.alerting.own_votes import NO_VOTES, OwnVotes, read_own_votes
from pipeline.store.boards.voter_labels import is_label
from pipeline.store.cold import vote_table
from pipeline.store.cold.cold_votes import VoteFilter
from pipeline.store.db import dialect, schema
from pipeline.store.votes import closed_windows, registry_events
from pipeline.store.votes.packed_positions import pack_positions
from pipeline.store.votes.vote_selections import VoteSelection, prompt_bits
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.outcomes import OUTCOME_CODES
from pipeline.vocabulary.time import parse_rfc3339

_BLOCK = 200_000
_NO_TIME = -(2**62)
_WON_A, _WON_B = OUTCOME_CODES["model_a"], OUTCOME_CODES["model_b"]
_COLUMNS = ("partition_no", "offset", "voter", "cast_at", "model_a", "model_b", "outcome", "network", "prompt")


@dataclass(frozen=True, slots=True, eq=False)
class _Selected:
    """An alert about windows, with the selection of votes that the alert is about.

    Attributes:
        shown: the alert as operators see it.
        claim: what the alert claims.
        selection: selects the votes that the alert is about.
        strongest: end of the window with the strongest evidence, in microseconds since 1970 UTC.
    """

    shown: Mapping[str, Any]
    claim: Claim
    selection: VoteSelection
    strongest: int


class _Chosen(NamedTuple):
    """The votes that an alert about windows is about, as sorted arrays int64.

    A position is a partition and an offset, packed into one number.

    Attributes:
        votes: positions of the votes.
        core: positions of the votes that were cast before the end of the window with the strongest evidence.
        voters: pseudonyms of the voters.
        often: pseudonyms of the voters who cast at least LEAST_VOTES of the votes.
    """

    votes: Int64
    core: Int64
    voters: Int64
    often: Int64


def read_carried(connection: Connection) -> list[tuple[CarriedAlert, dict[str, Any]]]:
    """Return every stored alert, sorted by id, in the two forms that the grouping into incidents needs.

    Returns:
        One pair for each alert. The first value is a `CarriedAlert`, which holds the alert's votes and voters as
        arrays. The second is the alert as `alert_queries.format_alert` returns it.

        An alert that is not about particular votes has empty arrays. An alert about an erased voter has no votes. If
        the database role may not read voters, alerts about voters have no votes, and alerts about windows have votes
        without voters.
    """
    query = select_alerts().order_by(schema.alert.c.alert_id)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    shown = {row["alert_id"]: format_alert(row) for row in rows}
    closed = closed_windows.closed_until(connection)
    windows = [one for row in rows if (one := _select(shown[row["alert_id"]], closed)) is not None]
    changed = [one for row in rows for one in _select_results(shown[row["alert_id"]])]
    votes = _read_selected(connection, [*windows, *changed])
    subjects = [row["subject"] for row in rows if row["subject_kind"] == "voter"]
    numbers = {parse_pseudonym(one) for one in subjects if not is_label(one)}
    often = (votes[one.shown["id"]].often.tolist() for one in windows)
    own = read_own_votes(connection, numbers.union(*often))
    members = _models_by_provider(connection, rows)
    found = []
    for row in rows:
        alert = shown[row["alert_id"]]
        mine = own.get(voter_number(row["subject"]), NO_VOTES) if row["subject_kind"] == "voter" else None
        # A member of a group is claimed to do what the alert about the group states.
        claim = claim_of(shown.get(alert["evidence"].get("group", ""), alert))
        carried = _carry(row, alert, claim, votes.get(row["alert_id"]), mine)
        if row["subject_kind"] == PROVIDER:
            carried = replace(carried, members=members.get(row["subject"], frozenset()))
        elif row["alert_id"] in votes:
            carried = replace(carried, followers=_followers(claim, votes[row["alert_id"]].often, own))
        elif row["alert_id"] + LIFTED in votes:
            won, lost = (votes[row["alert_id"] + effect].votes for effect in (LIFTED, LOWERED))
            carried = replace(carried, change=ResultChange.of(alert["evidence"], won, lost))
        found.append((carried, alert))
    return found


def _followers(claim: Claim, often: Int64, own: Mapping[int, OwnVotes]) -> dict[int, Int64]:
    """Return the followers of an alert: the voters who cast most of their votes as the alert claims.

    Args:
        claim: the claim of the alert.
        often: int64, pseudonyms of the voters who cast several of the alert's votes.
        own: pseudonym → all counted votes of the voter.

    Returns:
        Pseudonym of a follower → positions of the follower's counted votes, int64, each packed into one number.
    """
    chosen = [(voter, own[voter]) for voter in often.tolist() if voter in own]
    return {voter: one.votes for voter, one in chosen if one.leanings.get(claim, 0.0) >= MOST}


def _models_by_provider(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Return provider → its models according to the registry. The result is empty if no alert is about a provider."""
    about_provider = any(row["subject_kind"] == PROVIDER for row in rows)
    if not about_provider or not dialect.may_read(connection, "registry_event", "body"):
        return {}
    found: dict[str, set[str]] = {}
    for event in registry_events.read_since(connection, 0)[0]:
        if isinstance(event, Submitted):
            found.setdefault(event.provider, set()).add(event.model)
    return {provider: frozenset(models) for provider, models in found.items()}


def voter_number(subject: str) -> int:
    """Return the number that stands for the voter of an alert.

    Args:
        subject: the pseudonym as 16 hexadecimal digits, or the label of an erased voter.

    Returns:
        The pseudonym as an int64. For a label, the first 64 bits of the label's SHA-256.
    """
    if is_label(subject):
        return int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big", signed=True)
    return parse_pseudonym(subject)


def _carry(
    row: Mapping[str, Any],
    shown: Mapping[str, Any],
    claim: Claim,
    selected: _Chosen | None,
    own: OwnVotes | None,
) -> CarriedAlert:
    opened = int(row["opened_at"])
    strength = math.log(row["e_value"]) if row["e_value"] else 0.0
    critical = row["severity"] == "critical"
    if own is not None:
        number = voter_number(row["subject"])
        voters = np.array([number], dtype=np.int64)
        first, last = min(own.first, opened), max(own.last, opened)
        return CarriedAlert(
            row["alert_id"], claim, number, strength, critical, opened, first, last, own.votes, own.votes, voters,
            leanings=own.leanings,
        )  # fmt: skip
    last = int(row["over_at"] or opened)
    if selected is None:
        return CarriedAlert(row["alert_id"], claim, 0, strength, critical, opened, opened, last)
    first, excess = parse_rfc3339(shown["evidence"]["window"][0]), _excess(shown["evidence"], len(selected.core))
    return CarriedAlert(
        row["alert_id"], claim, 0, strength, critical, opened, first, last, selected.votes, selected.core,
        selected.voters, excess,
    )  # fmt: skip


def _excess(evidence: Mapping[str, Any], votes: int) -> float | None:
    seen = evidence.get("won", evidence.get("lost", evidence.get("votes")))
    return votes * max(0.0, 1 - evidence["expected"] / seen) if seen and "expected" in evidence else None


def _select(shown: dict[str, Any], closed: int | None) -> _Selected | None:
    """Return an alert with the selection of its votes; None if it is about a voter or selects no particular votes."""
    if shown["subject"]["kind"] == "voter" or "window" not in shown["evidence"] or "until" not in shown:
        return None
    shown = with_end(shown, closed)
    try:
        chosen = select_votes(shown)
    except Usage:
        return None
    return _Selected(shown, claim_of(shown), chosen, parse_rfc3339(shown["evidence"]["window"][1]))


def _select_results(shown: Mapping[str, Any]) -> list[_Selected]:
    """Return the selections of the votes that a model won, and lost, since its results changed.

    The ids are that of the alert and the effect. Empty for an alert that states no change of results.
    """
    if shown["detector"] != MODEL_SHIFT:
        return []
    first, end = (parse_rfc3339(text) for text in shown["evidence"]["window"])
    model = shown["subject"]["id"]
    chosen = VoteSelection(first, end, model=model)
    return [
        _Selected({"id": shown["id"] + effect}, Claim(MODEL, model, effect), chosen, end)
        for effect in (LIFTED, LOWERED)
    ]


def _read_selected(connection: Connection, windows: Sequence[_Selected]) -> dict[str, _Chosen]:
    """Read the votes of alerts about windows: id of an alert → its votes."""
    if not windows:
        return {}
    first, end = min(one.selection.first for one in windows), max(one.selection.end for one in windows)
    v = vote_table.votes_where(connection, VoteFilter(first_at=first, end_at=end)).c
    can_see = dialect.may_read(connection, "vote", "voter")
    columns = [sa.literal(0).label("voter") if name == "voter" and not can_see else v[name] for name in _COLUMNS]
    columns.append(sa.func.coalesce(v.voter_since, _NO_TIME).label("voter_since"))
    query = sa.select(*columns).where(v.fate.in_(COUNTED), v.cast_at >= first, v.cast_at < end)
    models, networks = _numbers(connection)
    # Without a block no vote is of that time: erased or retracted votes may have been all there were.
    parts: dict[str, list[tuple[Int64, Int64, Int64]]] = {one.shown["id"]: [(NONE, NONE, NONE)] for one in windows}
    for block in dialect.read_integers(connection, query, _BLOCK):
        vote = dict(zip((*_COLUMNS, "voter_since"), block, strict=True))
        position = pack_positions(vote["partition_no"], vote["offset"])
        for one in windows:
            mine = _mask(one, vote, models, networks)
            core = mine & (vote["cast_at"] < one.strongest)
            parts[one.shown["id"]].append((position[mine], position[core], vote["voter"][mine]))
    joined = {}
    for alert_id, found in parts.items():
        votes, core, voter = (np.concatenate([NONE, *column]) for column in zip(*found, strict=True))
        voters, number = np.unique(voter[voter != 0], return_counts=True)
        joined[alert_id] = _Chosen(np.unique(votes), np.unique(core), voters, voters[number >= LEAST_VOTES])
    return joined


def _mask(one: _Selected, vote: Mapping[str, Int64], models: Mapping[str, int], networks: Mapping[str, int]) -> Bool:
    """Return a mask of the votes in a block: True for a vote that the alert is about."""
    selection, claim = one.selection, one.claim
    mine: Bool = (vote["cast_at"] >= selection.first) & (vote["cast_at"] < selection.end)
    if selection.model is not None:
        number = models.get(selection.model, -1)
        is_a, is_b = vote["model_a"] == number, vote["model_b"] == number
        for_a, for_b = (_WON_A, _WON_B) if claim.effect == LIFTED else (_WON_B, _WON_A)
        if claim.kind == MODEL and claim.effect in (LIFTED, LOWERED):
            mine &= (is_a & (vote["outcome"] == for_a)) | (is_b & (vote["outcome"] == for_b))
        else:
            mine &= is_a | is_b
    if selection.network is not None:
        mine &= vote["network"] == networks.get(selection.network, -1)
    if selection.cohort is not None:
        known, new = vote["voter_since"] != _NO_TIME, vote["cast_at"] - vote["voter_since"] <= NEW_ACCOUNT
        mine &= {"unknown": ~known, "new": known & new}.get(selection.cohort, known & ~new)
    if selection.prompt is not None:
        value, bits = prompt_bits(selection.prompt)
        mask = (1 << bits) - 1
        mine &= (vote["prompt"] != 0) & ((vote["prompt"] & mask) == (value & mask))
    return mine


def _numbers(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """Return two dictionaries: name of a model → model number (model_no), name of a network → term number (term_no)."""
    m, t = schema.model.c, schema.term.c
    models = {row.name: int(row.model_no) for row in connection.execute(sa.select(m.name, m.model_no))}
    named = sa.select(t.text, t.term_no).where(t.kind == "network")
    return models, {row.text: int(row.term_no) for row in connection.execute(named)}
