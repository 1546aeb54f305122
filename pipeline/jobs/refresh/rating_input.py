"""Reads what a refresh rates: the counts of each view and board, the exclusions, and the votes of the style view."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.compute.board_cells import Label
from pipeline.jobs.refresh import method_counts
from pipeline.jobs.refresh.method_counts import LabelCounts
from pipeline.jobs.refresh.model_axis import ModelAxis
from pipeline.open_store import now
from pipeline.ratings import PairCounts
from pipeline.ratings.method import ALL_VOTES, Method
from pipeline.registry import Registry
from pipeline.store.boards import excluded_votes, exclusion_list, voter_labels
from pipeline.store.boards.excluded_votes import VotesByPosition
from pipeline.store.log import leaf_index, retractions, sealed_boards, sealed_counts, sealed_styles
from pipeline.store.log.sealed_styles import StyledLog
from pipeline.store.votes import dictionary, registry_events
from pipeline.store.votes.ingest import VotePosition
from pipeline.store.votes.vote_selections import VoteSelection
from pipeline.vocabulary.fates import ACCEPTED, COUNTED, LATE
from pipeline.vocabulary.method_rules import rule_mask

VIEWS = ("raw", "defended")


def counted_fates(body: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the fates of the votes that count in the defended view of a snapshot.

    The body of the snapshot states whether late votes count. If the body of an old snapshot does not state this, late
    votes do not count.
    """
    return COUNTED if "coverage" in body else (ACCEPTED,)


@dataclass(frozen=True)
class RatingInput:
    """The votes that a refresh rates, and the votes that it leaves out.

    Attributes:
        model_no: name of a model → its number in the store (model_no).
        views: name of a view → its pair counts. `raw` has the accepted and late votes. `defended` lacks the votes that
            the method leaves out and the excluded votes.
        suspects: positions (partition_no, offset) of the excluded votes and of the votes of flagged voters, who have an
            unresolved alert. The reference is estimated without them.
        late: number of late votes.
        excluded: number of excluded votes.
        flagged: number of votes of flagged voters.
        exclusions: {"kind", "target", "reason", "name"} of each exclusion. A target that is a voter is named by a
            public label.
        styled: the votes of the style view, which are read while the connection is open.
        left_out: leaf index of each excluded vote → index of its exclusion in `exclusions`.
        waiting: name of a view or board → name of an unregistered model → number of its votes. `views` lacks these
            votes, `boards` includes them.
        unregistered: number of all votes on unregistered models.
        by_rule: rule of the method → number of votes that the rule leaves out. A vote that several rules leave out is
            counted under the first of them.
        boards: name of a board with enough votes, "category/LABEL" or "language/LABEL" → pair counts of the defended
            votes with this label, votes on unregistered models included.
        small_boards: name of a board with too few votes → number of its votes.
        excluded_rows: leaf index of each excluded vote → its row (`excluded_votes.VotesByPosition`).
    """

    model_no: dict[str, int]
    views: dict[str, PairCounts]
    suspects: Set[VotePosition]
    late: int
    excluded: int
    flagged: int
    exclusions: list[dict[str, str]]
    styled: StyledLog
    left_out: dict[int, int]
    waiting: dict[str, dict[str, int]]
    unregistered: int
    by_rule: dict[str, int]
    boards: dict[str, PairCounts]
    small_boards: dict[str, int]
    excluded_rows: dict[int, Any] = field(default_factory=dict)

    def board(self, name: str) -> PairCounts:
        """Return the pair counts of a board by category or language, without unregistered models.

        The counts are empty if the label has too few votes for a board.
        """
        found = self.boards.get(name)
        if found is None:
            return self.views["raw"].without_models(self.views["raw"].models)
        return found.without_models(self.waiting[name])


def read_rating_input(
    connection: Connection,
    log_size: int,
    listed: list[dict[str, str]] | None = None,
    left_out: VotesByPosition | None = None,
    fates: Sequence[int] = COUNTED,
    unregistered: Collection[str] | None = None,
    method: Method = ALL_VOTES,
    boards: Collection[Label] | None = None,
) -> RatingInput:
    """Read the votes that are counted in a rating of the first `log_size` leaves, for all views and boards.

    Args:
        connection: a connection to the store.
        log_size: number of leaves of the vote log.
        listed: the exclusions, as the body of a snapshot states them. None for the current exclusions.
        left_out: position (partition_no, offset) → vote, for all votes that the exclusions exclude. None to find these
            votes here.
        fates: fates of the votes that the defended view counts (`counted_fates`).
        unregistered: names of models whose votes do not count. None for the models that are not in the registry now.
        method: the method. Its rules are applied to the defended view before the exclusions.
        boards: labels of the boards to read, among them ALL, the label of all votes. None to read all boards.
    """
    sealed = sealed_counts.read_counts(connection, log_size)
    models = ModelAxis(dictionary.model_names(connection))
    listed = _current_exclusions(connection) if listed is None else listed
    resolved = voter_labels.resolve(connection, listed)
    named = _NamedVotes.of(resolved)
    fate = sealed.pairs[:, 3]
    raw = models.pairs(sealed.pairs[np.isin(fate, COUNTED)])
    unregistered = _waiting_models(connection, raw) if unregistered is None else unregistered
    left_out = without_rules(named.find(connection, log_size, fates) if left_out is None else left_out, method)
    suspects = without_rules(named.find_flagged(connection, log_size, fates), method)
    flags = models.pairs(excluded_votes.count_by_pair(suspects))
    by_label = sealed_boards.read_boards(connection, log_size, boards)
    ruled_out = method_counts.left_out_rows(by_label, method, fates)
    out = models.pairs(excluded_votes.count_by_pair(left_out))
    defended = models.pairs(sealed.pairs[np.isin(fate, fates)]).minus(models.pairs(ruled_out)).minus(out)
    by_name, small = _boards(by_label, sealed_boards.count_votes(connection, left_out), models, method, fates)
    entry = excluded_votes.attribute_to_entries(connection, left_out, resolved)
    leaves = leaf_index.find_leaves(connection, left_out)
    views = {"raw": raw, "defended": defended}
    return RatingInput(
        {name: number for number, name in models.names.items()},
        {view: counts.without_models(unregistered) for view, counts in views.items()},
        left_out.keys() | suspects.keys(),
        int(sealed.pairs[fate == LATE, 4].sum()),
        out.total,
        flags.total,
        listed,
        registered_votes(styled_votes(connection, log_size, method, left_out), models.names, unregistered),
        {leaf: entry[place] for place, leaf in leaves.items()},
        {view: _battles(counts, unregistered) for view, counts in (*views.items(), *by_name.items())},
        raw.total - raw.without_models(unregistered).total,
        method_counts.left_out_by_rule(ruled_out, method),
        by_name,
        small,
        {leaf: left_out[place] for place, leaf in leaves.items()},
    )


def _current_exclusions(connection: Connection) -> list[dict[str, str]]:
    active = sorted(exclusion_list.read_active(connection), key=lambda one: (one.kind, one.public))
    return [{"kind": e.kind, "target": e.public, "reason": e.reason, "name": e.name} for e in active]


@dataclass(frozen=True, slots=True)
class _NamedVotes:
    """The voters, votes and selections of votes that exclusions name."""

    voters: Collection[int]
    vote_ids: Collection[str]
    selections: Collection[VoteSelection]

    @classmethod
    def of(cls, resolved: Sequence[Mapping[str, str]]) -> "_NamedVotes":
        return cls(
            voter_labels.pseudonyms(e["target"] for e in resolved if e["kind"] == "voter"),
            [e["target"] for e in resolved if e["kind"] == "vote"],
            [VoteSelection.parse(e["target"]) for e in resolved if e["kind"] == "votes"],
        )

    def find(self, connection: Connection, log_size: int, fates: Sequence[int]) -> VotesByPosition:
        return excluded_votes.find_votes(connection, log_size, self.voters, self.vote_ids, self.selections, fates=fates)

    def find_flagged(self, connection: Connection, log_size: int, fates: Sequence[int]) -> VotesByPosition:
        """Return the votes of flagged voters, without the votes that an exclusion names by voter, id or selection."""
        voters = sorted(set(exclusion_list.flagged_voters(connection)) - set(self.voters))
        but: dict[str, Any] = {"except_ids": self.vote_ids, "except_selections": self.selections}
        return excluded_votes.find_votes(connection, log_size, voters, **but, fates=fates)


def _boards(
    counts: LabelCounts, excluded: LabelCounts, models: ModelAxis, method: Method, fates: Sequence[int]
) -> tuple[dict[str, PairCounts], dict[str, int]]:
    """Count the votes of each category board and each language board.

    Returns:
        Two mappings by name of the board. The first has the counts of each board with enough votes. The second has the
        number of votes of each other board, for which no ratings are computed.
    """
    found, small = {}, {}
    for label, votes, rows in method_counts.rows_by_label(counts, method, fates):
        name = method_counts.board_name(label)
        if votes < method.least_board_votes:
            small[name] = votes
            continue
        out, pairs = method_counts.counted_rows(excluded, label, method, fates), models.pairs(rows)
        found[name] = pairs.minus(models.pairs(out)) if len(out) else pairs
    return found, small


def without_rules(votes: VotesByPosition, method: Method) -> VotesByPosition:
    """Return those of the votes that no rule of the method leaves out."""
    mask = rule_mask(method.rules)
    return {place: row for place, row in votes.items() if not row.flags & mask} if mask else votes


def styled_votes(
    connection: Connection, log_size: int, method: Method, left_out: VotesByPosition, first: int = 0
) -> StyledLog:
    """Return the votes of the style view in the leaves `first` to `log_size` − 1.

    Votes on unregistered models are included. Three kinds are not: the votes in `left_out`, which exclusions exclude,
    retracted votes, and votes that a rule of the method leaves out.
    """
    uncounted = left_out.keys() | retractions.retracted_positions(connection, log_size)
    return sealed_styles.read_log(connection, log_size, uncounted, rule_mask(method.rules), first)


def find_unregistered(connection: Connection, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of models that are not in the registry now, sorted.

    The result is empty if the registry has no model at all.
    """
    state = Registry(registry_events.read_since(connection, 0)[0]).as_of(now())
    if not state.models:
        return ()
    return tuple(sorted(name for name in names if state.first_name(name) not in state.models))


def _waiting_models(connection: Connection, raw: PairCounts) -> tuple[str, ...]:
    """Return the names of the models that are not in the registry.

    The result is empty if no vote compares two registered models: the registry is then not in use.
    """
    found = find_unregistered(connection, _with_votes(raw))
    return found if raw.without_models(found).total else ()


def _with_votes(counts: PairCounts) -> list[str]:
    battles = counts.battles_per_model().tolist()
    return [name for name, votes in zip(counts.models, battles, strict=True) if votes]


def _battles(counts: PairCounts, names: Collection[str]) -> dict[str, int]:
    battles = dict(zip(counts.models, counts.battles_per_model().tolist(), strict=True))
    return {name: battles.get(name, 0) for name in sorted(names)}


def registered_votes(votes: StyledLog, numbers: Mapping[int, str], unregistered: Collection[str]) -> StyledLog:
    """Return those of the votes that are between registered models.

    Args:
        votes: votes of the style view.
        numbers: model number (model_no) → name of the model.
        unregistered: names of the unregistered models.
    """
    return votes.without_models([number for number, name in numbers.items() if name in unregistered])
