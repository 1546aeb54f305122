"""A slow recount of what must follow from a log: fates, pairs, windows. Shares no code with the pipeline."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Set
from typing import Any

from tests.faults.log import Log, Place, Record, microseconds

ACCEPTED, LATE, QUARANTINED = 0, 1, 2
OUTCOMES = ("model_a", "model_b", "tie", "both_bad")
MINUTE = 60_000_000
WEEK = 7 * 24 * 60 * MINUTE

COHORT, TRAFFIC = 0, 3
"""Kinds of rows. Of the other two, networks and prompts by model, the hashes are cut where there are many."""

Row = tuple[int, int, int, int]
"""appearances, chosen, wins, losses"""


def fates(log: Log, lateness: int) -> dict[Place, int]:
    """The fate that time gives every vote of the log, repeats included."""
    found: dict[Place, int] = {}
    mark: dict[int, int] = {}
    for (partition, offset), record in log.records.items():
        if record.vote is None:
            continue
        cast = record.cast_at
        if cast > record.appended_at + 5 * MINUTE:
            found[partition, offset] = QUARANTINED
            continue
        seen = mark.get(partition)
        found[partition, offset] = LATE if seen is not None and cast < seen - lateness else ACCEPTED
        now = min(cast, record.appended_at)
        mark[partition] = now if seen is None else max(now, seen)
    return found


def pairs(log: Log, counted: Set[Place]) -> Counter[tuple[str, str, int]]:
    """(model_a, model_b, outcome) → votes."""
    votes = (record.vote for place, record in log.records.items() if place in counted)
    return Counter((v["model_a"], v["model_b"], OUTCOMES.index(v["winner"])) for v in votes if v is not None)


def windows(log: Log, fate: Mapping[Place, int]) -> dict[tuple[int, int], Any]:
    """(partition, start) → accepted, late, and (kind, group, model) → row, of the votes that count.

    A late vote of a stream is in the window of the newest event time, with its outcome alone.
    """
    found: dict[tuple[int, int], list[Any]] = {}
    newest = _newest(log)
    for place, its in fate.items():
        if its == QUARANTINED:
            continue
        record = log.records[place]
        late = its == LATE and not log.of_file
        at = newest[place] if late else record.cast_at
        window = found.setdefault((place[0], at - at % (5 * MINUTE)), [0, 0, {}])
        window[late] += 1
        _add(window[2], record, late)
    return {key: (accepted, late, rows) for key, (accepted, late, rows) in found.items()}


def _newest(log: Log) -> dict[Place, int]:
    """The newest event time of the partition at each vote, repeats included."""
    found: dict[Place, int] = {}
    mark: dict[int, int] = {}
    for place, record in log.records.items():
        if record.vote is not None and record.cast_at <= record.appended_at + 5 * MINUTE:
            mark[place[0]] = max(mark.get(place[0], -(2**62)), min(record.cast_at, record.appended_at))
            found[place] = mark[place[0]]
    return found


def _add(rows: dict[tuple[int, int, str], Row], record: Record, late: bool) -> None:
    vote = record.vote
    assert vote is not None
    since = vote.get("voter_since")
    cohort = 0 if since is None else 2 if record.cast_at - microseconds(since) <= WEEK else 1
    side = hashlib.sha256(vote["vote_id"].encode()).digest()[-1] & 1
    for which, model in enumerate((vote["model_a"], vote["model_b"])):
        seen, chosen, wins, losses = rows.get((COHORT, cohort, model), (0, 0, 0, 0))
        won, lost = vote["winner"] == OUTCOMES[which], vote["winner"] == OUTCOMES[1 - which]
        rows[COHORT, cohort, model] = (
            seen + (not late), chosen + (not late and side == which), wins + won, losses + lost,
        )  # fmt: skip
    if vote.get("network") is not None and not late:
        network = int.from_bytes(hashlib.sha256(vote["network"].encode()).digest()[:4], "big")
        rows[TRAFFIC, network, ""] = (rows.get((TRAFFIC, network, ""), (0,))[0] + 1, 0, 0, 0)


def comparable(window: Any) -> Any:
    """What of a stored window is counted again here."""
    if window is None:
        return None
    accepted, late, rows = window
    return accepted, late, {key: row[:4] for key, row in rows.items() if key[0] in (COHORT, TRAFFIC)}
