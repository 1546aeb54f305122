"""The seven promises, judged from outside: what the broker holds against what the store holds.

C1 every acknowledged id once · C2 aggregates equal a recount · C3 the ledger of offsets is complete · C4 checkpoints
are consistent · C5 snapshots recompute · C6 progress resumes within a bound · C7 each alert fires once; and "same":
the tables and alerts of one undisturbed worker on the same log, by names.

`findings` says what is broken, each under its promise; an empty list is a promise kept. tests/faults/
test_promises.py breaks a store in each of these ways and has this found. Only for a store that has come to the end of
its log. It does not show what a power loss would have done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline import jobs
from pipeline.errors import IntegrityError
from pipeline.open_store import open_store
from pipeline.store.read import store_figures
from tests.faults import recount
from tests.faults.held import Held, board_of, differences, evidence_of, read, repeated
from tests.faults.log import Log, Place

LATENESS = 60 * recount.MINUTE
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged.

    Attributes:
        log: what the broker holds at the end.
        url: of the store.
        key: the voter key of the store.
        acknowledged: vote id → how many of its records the broker acknowledged.
        undisturbed: what a single worker that nothing disturbed made of the same log; None leaves "same" out.
        pauses: seconds without progress while there was work, each with what was going on.
        within: the longest pause allowed.
        announced: alert ids that reached the alerts topic, each time; None where nobody reads the topic.
    """

    log: Log
    url: str
    key: bytes
    acknowledged: Mapping[str, int]
    undisturbed: Held | None = None
    pauses: Sequence[tuple[float, str]] = ()
    within: float = 45.0
    announced: Sequence[str] | None = None


def findings(case: Case) -> list[str]:
    """Everything that is broken, each beginning with its promise."""
    held = read(case.url, case.key)
    checks = {
        "C1": _once(case, held),
        "C2": _recounted(case, held),
        "C3": _covered(case, held),
        "C4": _consistent(held),
        "C5": _recomputed(case),
        "C6": (f"{seconds:.1f} s without progress: {what}" for seconds, what in case.pauses if seconds > case.within),
        "C7": _fired_once(case, held),
        "same": differences(held, case.undisturbed) if case.undisturbed else (),
    }
    return [f"{promise}: {found}" for promise, all_found in checks.items() for found in all_found]


def expect_kept(case: Case) -> None:
    """Fail with what is broken."""
    found = findings(case)
    more = f"\n… and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    assert not found, "broken promises:\n" + "\n".join(found[:SHOWN]) + more


def _once(case: Case, held: Held) -> Iterator[str]:
    places = case.log.places()
    for vote_id, times in case.acknowledged.items():
        if len(places.get(vote_id, ())) < times:
            yield f"{vote_id}: {times} records acknowledged, the broker holds {len(places.get(vote_id, ()))}"
    fates = Counter([*held.votes, *held.tables["duplicates"], *held.tables["rejects"]])
    for place in sorted(case.log.records.keys() - fates.keys()):
        yield f"{place} has no fate"
    for place in sorted(fates.keys() - case.log.records.keys()):
        yield f"{place} has a fate and is not in the log"
    for place in repeated(fates.elements()):
        yield f"{place} has {fates[place]} fates"
    for place in held.tables["rejects"].keys() & case.log.records.keys():
        if case.log.records[place].vote is not None:
            yield f"{place} is a vote and was rejected"
    for vote_id, at in places.items():
        yield from _first_wins(vote_id, at, held)


def _first_wins(vote_id: str, at: Sequence[Place], held: Held) -> Iterator[str]:
    stored = [place for place in at if place in held.votes]
    if len(stored) != 1:
        yield f"{vote_id} is stored {len(stored)} times, of its places {list(at)}"
        return
    [first] = stored
    if first != min(place for place in at if place[0] == first[0]):
        yield f"{vote_id}: {first} is stored, and an earlier one of the same partition is not"
    for place in at:
        if place != first and held.tables["duplicates"].get(place, (None, None))[:2] != first:
            yield f"{vote_id}: {place} is not a duplicate of {first}"


def _recounted(case: Case, held: Held) -> Iterator[str]:
    expected = recount.fates(case.log, LATENESS)
    counted = {place: fate for place, fate in expected.items() if place in held.votes}
    for place, fate in counted.items():
        if held.votes[place][6] != fate:
            yield f"{place}: expected fate {fate}, got {held.votes[place][6]}"
    stored = Counter((a, b, outcome) for _, _, _, a, b, outcome, *_ in held.votes.values())
    pairs = recount.pairs(case.log, counted.keys())
    for pair in sorted(stored.keys() | pairs.keys()):
        if stored[pair] != pairs[pair]:
            yield f"{pair}: expected {pairs[pair]} votes, got {stored[pair]}"
    windows = recount.windows(case.log, counted)
    for key in sorted(windows.keys() | held.windows.keys()):
        stored_window = recount.comparable(held.windows.get(key))
        if windows.get(key) != stored_window:
            yield f"window {key}: expected {windows.get(key)}, got {stored_window}"


def _covered(case: Case, held: Held) -> Iterator[str]:
    store = open_store(case.url, voter_key=case.key)
    with store.read() as connection:
        yield from store_figures.find_gaps(connection)
    store.close()
    for number, (first, end) in case.log.bounds.items():
        batches = held.batches.get(number, [])
        edges = [first, *(edge for batch in batches for edge in batch[:2]), end]
        if edges[::2] != edges[1::2]:
            yield f"partition {number}: expected batches from {first} to {end} without a hole, got {batches}"
        if number in held.marks and held.marks[number][0] != end:
            yield f"partition {number}: expected {end} as the next offset, got {held.marks[number][0]}"
        records = sum(place[0] == number for place in case.log.records)
        if (read := sum(batch[2] for batch in batches)) != records:
            yield f"partition {number}: {records} records, the ledger counts {read}"
        if (fates := sum(batch[3] for batch in batches)) != records:
            yield f"partition {number}: {records} records, the ledger gives {fates} of them a fate"


def _consistent(held: Held) -> Iterator[str]:
    if held.sequences != list(range(1, len(held.sequences) + 1)):
        yield f"expected snapshots 1, 2, 3 …, got {held.sequences}"
    for number, (end, sealed, states) in held.marks.items():
        if not (sealed <= end and states <= end):
            yield f"partition {number}: sealed to {sealed}, states to {states}, and only {end} are read"
        here = sorted((at, sequence) for (part, at), (sequence,) in held.tables["in force"].items() if part == number)
        if any(later[1] <= earlier[1] for earlier, later in pairwise(here)):
            yield f"partition {number}: snapshots came into force out of order: {here}"
        if any(at > end or sequence not in held.sequences for at, sequence in here):
            yield f"partition {number}: in force what is not there: {here}"
    if held.waiting:
        yield f"{held.waiting} messages still wait in the outbox"


def _recomputed(case: Case) -> Iterator[str]:
    try:
        jobs.verify_ledger(case.url)
    except IntegrityError as error:
        yield f"{type(error).__name__}: {error}"


def _fired_once(case: Case, held: Held) -> Iterator[str]:
    alerts = held.tables["alerts"]
    ids = {key[0]: row for key, row in alerts.items()}
    for alert_id in sorted(ids.keys() ^ held.history.keys()):
        yield f"alert {alert_id} has {'no history' if alert_id in ids else 'a history and is not there'}"
    for alert_id, history in held.history.items():
        actions = [action for action, _ in history]
        if actions[:1] != ["opened"] or set(actions[1:]) - {"escalated"} or repeated(history):
            yield f"alert {alert_id}: expected to be opened once and each escalation once, got {history}"
    about = [tuple(row[1:6]) for row in ids.values()]  # detector, severity, kind, subject, direction
    for one in repeated((detector, subject, direction) for detector, _, _, subject, direction in about):
        yield f"more than one alert says {one}"
    for alert_id, row in ids.items():
        if not evidence_of(row):
            yield f"alert {alert_id} says nothing of what was seen"
    if case.announced is not None:
        for alert_id in sorted(set(case.announced) ^ ids.keys()):
            yield f"alert {alert_id} is {'not in its topic' if alert_id in ids else 'in the topic alone'}"


def same_board(one: str, other: str, key: bytes) -> list[str]:
    """Where the newest snapshots of two stores differ by more than their rounding to .01."""
    here, there = board_of(one, key), board_of(other, key)
    found = [f"{row} is in one board alone" for row in sorted(here.keys() ^ there.keys())]
    found += [
        f"{row}: {here[row]} and {there[row]}"
        for row in sorted(here.keys() & there.keys())
        if any(abs(a - b) > 0.0101 for a, b in zip(here[row], there[row], strict=True))
    ]
    return found
