"""Reads what a refresh rates: counts of each view, exclusions, and the baseline of the reference."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.open_store import now
from pipeline.ratings import PairCounts
from pipeline.registry import Registry
from pipeline.store.boards import excluded_votes, exclusion_list, voter_labels
from pipeline.store.log import leaf_index, retractions, sealed_counts, sealed_styles
from pipeline.store.log.sealed_styles import StyledVotes
from pipeline.store.votes import dictionary, registry_events
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import ACCEPTED, COUNTED, LATE

VIEWS = ("raw", "defended")


def counted_fates(body: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the fates of the votes that count in the defended view of a snapshot.

    The body of the snapshot states whether late votes count. In old snapshots, whose body does not state it, late votes
    do not count.
    """
    return COUNTED if "coverage" in body else (ACCEPTED,)


@dataclass(frozen=True)
class RatingInput:
    """The votes that a refresh rates.

    Attributes:
        model_no: name of a model → its number in the store.
        views: `raw`, the counts of accepted and late votes; and `defended`, the same without excluded votes.
        baseline: `defended` without the votes of flagged voters. The reference is estimated from these counts.
        tie_moments: sums over voters, from which the spread of their tie shares is estimated (`baseline_reference`).
        late: number of late votes.
        excluded: number of excluded votes.
        flagged: number of votes of flagged voters.
        exclusions: {"kind", "target", "reason", "name"} of each exclusion; a voter is named by a public label.
        styled: the votes of the style view.
        left_out: leaf of each excluded vote → position of its exclusion in `exclusions`.
        waiting: view → unregistered model → number of its votes, which count in no view.
        unregistered: number of all votes on unregistered models.
    """

    model_no: dict[str, int]
    views: dict[str, PairCounts]
    baseline: PairCounts
    tie_moments: Int64
    late: int
    excluded: int
    flagged: int
    exclusions: list[dict[str, str]]
    styled: StyledVotes
    left_out: dict[int, int]
    waiting: dict[str, dict[str, int]]
    unregistered: int


def read_rating_input(
    connection: Connection,
    log_size: int,
    listed: list[dict[str, str]] | None = None,
    left_out: Mapping[tuple[int, int], Any] | None = None,
    fates: Sequence[int] = COUNTED,
    unregistered: Collection[str] | None = None,
) -> RatingInput:
    """Read the input of a rating of the log at a size.

    Args:
        connection: a connection to the store.
        log_size: number of leaves of the vote log.
        listed: the exclusions; None for the current exclusions.
        left_out: partition and offset of each vote that these exclusions exclude; None to find them here.
        fates: fates of the votes that the defended view counts (`counted_fates`).
        unregistered: models whose votes do not count; None for those that the registry does not know now.
    """
    sealed = sealed_counts.read_counts(connection, log_size)
    numbers = dictionary.model_names(connection)
    axis = sorted(numbers)
    labels = tuple(numbers[number] for number in axis)
    if listed is None:
        active = sorted(exclusion_list.read_active(connection), key=lambda one: (one.kind, one.public))
        listed = [{"kind": e.kind, "target": e.public, "reason": e.reason, "name": e.name} for e in active]
    resolved = voter_labels.resolve(connection, listed)
    voters = voter_labels.pseudonyms(e["target"] for e in resolved if e["kind"] == "voter")
    vote_ids = [e["target"] for e in listed if e["kind"] == "vote"]
    selections = [VoteSelection.parse(e["target"]) for e in listed if e["kind"] == "votes"]
    flagged = sorted(set(exclusion_list.flagged_voters(connection)) - set(voters))
    fate = sealed.pairs[:, 3]
    raw = _pairs(labels, axis, sealed.pairs[np.isin(fate, COUNTED)])
    counted = _pairs(labels, axis, sealed.pairs[np.isin(fate, fates)])
    unregistered = _waiting_models(connection, raw) if unregistered is None else unregistered
    if left_out is None:
        left_out = excluded_votes.find_votes(connection, log_size, voters, vote_ids, selections, fates=fates)
    out = _pairs(labels, axis, excluded_votes.count_by_pair(left_out))
    but: dict[str, Any] = {"except_ids": vote_ids, "except_selections": selections}
    suspects = excluded_votes.find_votes(connection, log_size, flagged, **but, fates=fates)
    flags = _pairs(labels, axis, excluded_votes.count_by_pair(suspects))
    defended = counted.minus(out)
    entry = excluded_votes.attribute_to_entries(connection, left_out, resolved)
    leaves = leaf_index.find_leaves(connection, left_out)
    uncounted = left_out.keys() | retractions.retracted_positions(connection, log_size)
    views = {"raw": raw, "defended": defended}
    return RatingInput(
        {name: number for number, name in numbers.items()},
        {view: counts.without_models(unregistered) for view, counts in views.items()},
        defended.minus(flags).without_models(unregistered),
        sealed.ties,
        int(sealed.pairs[fate == LATE, 4].sum()),
        out.total,
        flags.total,
        listed,
        _registered(sealed_styles.read_votes(connection, log_size).without(uncounted), numbers, unregistered),
        {leaf: entry[place] for place, leaf in leaves.items()},
        {view: _battles(counts, unregistered) for view, counts in views.items()},
        raw.total - raw.without_models(unregistered).total,
    )


def find_unregistered(connection: Connection, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of `names` that the registry does not know now, sorted; none if the registry has no model at all."""
    state = Registry(registry_events.read_since(connection, 0)[0]).as_of(now())
    if not state.models:
        return ()
    return tuple(sorted(name for name in names if state.first_name(name) not in state.models))


def _waiting_models(connection: Connection, raw: PairCounts) -> tuple[str, ...]:
    """Return the unregistered models; none while the registry knows no two models that met."""
    found = find_unregistered(connection, _with_votes(raw))
    return found if raw.without_models(found).total else ()


def _with_votes(counts: PairCounts) -> list[str]:
    battles = counts.battles_per_model().tolist()
    return [name for name, votes in zip(counts.models, battles, strict=True) if votes]


def _battles(counts: PairCounts, names: Collection[str]) -> dict[str, int]:
    battles = dict(zip(counts.models, counts.battles_per_model().tolist(), strict=True))
    return {name: battles.get(name, 0) for name in sorted(names)}


def _registered(votes: StyledVotes, numbers: Mapping[int, str], unregistered: Collection[str]) -> StyledVotes:
    if not unregistered:
        return votes
    out = [number for number, name in numbers.items() if name in unregistered]
    return votes.where(~(np.isin(votes.model_a, out) | np.isin(votes.model_b, out)))


def _pairs(labels: tuple[str, ...], axis: list[int], rows: Any) -> PairCounts:
    """Return rows (model_a, model_b, outcome, …, votes) as counts over the models of the store."""
    cells = np.array(rows, dtype=np.int64).reshape(-1, 5 if len(rows) and len(rows[0]) == 5 else 4)
    position = np.zeros((axis[-1] if axis else 0) + 1, dtype=np.int64)
    position[axis] = np.arange(len(axis))
    table = np.zeros((len(cells), 4), dtype=np.int64)
    table[np.arange(len(cells)), cells[:, 2]] = cells[:, -1]
    return PairCounts.from_rows(labels, position[cells[:, 0]], position[cells[:, 1]], table)
