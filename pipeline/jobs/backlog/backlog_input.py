"""Reads votes from a store as the columns of a backlog. A backlog is a set of votes that are evaluated together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.backlog import BacklogVotes, cohorts
from pipeline.backlog.cohorts import Cohorts
from pipeline.backlog.voter_habits import HabitColumns
from pipeline.open_store import now
from pipeline.registry import Registry
from pipeline.store.alerting.alert_queries import POOLED_VOTERS, VOTER_HABIT
from pipeline.store.boards import exclusion_list
from pipeline.store.votes import registry_events
from pipeline.store.votes.arrow_reader import OffsetRange
from pipeline.store.votes.backlog_columns import BacklogColumns, read_columns
from pipeline.store.votes.dictionary import model_names, terms_of_kind
from pipeline.vocabulary.arrays import Bool, Int32, Int64
from pipeline.vocabulary.large_arrays import keep, new_large, pieces
from pipeline.vocabulary.outcomes import OUTCOME_CODES

FOUND_AFTERWARDS = (exclusion_list.BACKFILL_VOTER_DETECTOR, POOLED_VOTERS, VOTER_HABIT)
"""The detectors whose alerts about voters come from an evaluation of a backlog."""


@dataclass(frozen=True)
class BacklogInput:
    """The votes of a backlog, read from some ranges of offsets.

    In `votes`, the v voters are numbered from 0 to v − 1 and the m models from 0 to m − 1.

    Attributes:
        ranges: (partition_no, first offset, end) of each range.
        columns: all accepted and late votes of the ranges, in arrays with one entry per vote.
        votes: the votes with a voter, sorted by voter and time; `votes.row` has their indices in `columns`.
        models: int64[m], model number of the store (model_no) for each model of `votes`.
        names: model number (model_no) → name of the model.
        networks: term number (term_no) of a network → its name.
        suspects: bool[v], True for a voter who is excluded or whom a streaming detector flagged. Suspects are not used
            to fit the behaviour of honest voters. A voter whom only an earlier evaluation of a backlog flagged is not a
            suspect, so that a repeated run finds the same.
        providers: int64[m], number of the provider of each model of `votes`; −1 for a model without a provider. The
            number is the index of the provider's first model. None if the registry names no provider of any model.
    """

    ranges: Sequence[OffsetRange]
    columns: BacklogColumns
    votes: BacklogVotes
    models: Int64
    names: dict[int, str]
    networks: dict[int, str]
    suspects: Bool
    providers: Int64 | None = None

    @classmethod
    def read(
        cls,
        connection: Connection,
        ranges: Sequence[OffsetRange],
        *,
        since: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> BacklogInput:
        """Read the votes of some ranges of offsets.

        Args:
            connection: reads the store.
            ranges: (partition_no, first offset, end) of each range.
            since: earliest event time of the votes to read, in microseconds since 1970 UTC. None to read all votes.
            progress: called after each block of votes, with the number of votes in the block.
        """
        columns = read_columns(connection, ranges, progress)
        if since is not None:
            columns = columns.take(np.flatnonzero(columns.at >= since))
        models = np.union1d(columns.model_a, columns.model_b)
        a, b = (keep(np.searchsorted(models, one).astype(np.int32)) for one in (columns.model_a, columns.model_b))
        votes = BacklogVotes.from_columns(
            len(models), columns.voter, a, b, columns.outcome, columns.at, columns.network
        )
        excluded = [
            exclusion_list.parse_voter(e.target) for e in exclusion_list.read_active(connection) if e.kind == "voter"
        ]
        flagged = exclusion_list.flagged_voters(connection, FOUND_AFTERWARDS)
        suspects = np.isin(votes.names, np.array([*excluded, *flagged], dtype=np.int64))
        networks, names = terms_of_kind(connection, "network"), model_names(connection)
        registry = Registry(registry_events.read_since(connection, 0)[0]).as_of(now())
        providers = _provider_numbers([registry.provider_of(names[number]) for number in models.tolist()])
        return cls(ranges, columns, votes, models.astype(np.int64), names, networks, suspects, providers)

    def model_name(self, model: int) -> str:
        """Return the name of a model. `model` is its index in `models`."""
        return self.names[int(self.models[model])]

    def last_vote(self, voter: int) -> tuple[int, int, int]:
        """Return (partition_no, offset, event time) of a voter's last vote. `voter` is an index in `votes.names`."""
        row = int(self.votes.row[self.votes.starts[voter + 1] - 1])
        return int(self.columns.partition[row]), int(self.columns.offset[row]), int(self.columns.at[row])

    def period(self, voters: Int64 | None = None) -> tuple[int, int]:
        """Return the period of the votes as (first, end), in microseconds since 1970 UTC.

        Args:
            voters: int64[n], indices in `votes.names` of the voters whose votes are considered; None for all voters.

        Returns:
            (first, end): the time of the first vote, and the time of the last vote plus one microsecond. (0, 1) if
            there are no votes.
        """
        at = self.votes.at if voters is None else self.votes.at[np.isin(self.votes.voter, voters)]
        return (int(at.min()), int(at.max()) + 1) if len(at) else (0, 1)

    def cohorts(self) -> list[Cohorts]:
        """Return four divisions of the votes into cohorts: by network, by account age, by prompt, and by session.

        A vote belongs to the network of its voter's first vote. The number of a network's cohort is the term number
        (term_no) of the network's name in the store.
        """
        votes, rows = self.votes, self.votes.row
        prompt, session = (_positive(column[rows]) for column in (self.columns.prompt, self.columns.session))
        return [
            cohorts.by_first_vote(cohorts.NETWORK, votes, votes.network),
            cohorts.by_age(votes, self.columns.since[rows]),
            cohorts.by_label(cohorts.PROMPT, votes, prompt),
            cohorts.by_label(cohorts.SESSION, votes, session),
        ]

    def habits(self) -> HabitColumns:
        """Return the columns from which habits of voters are found.

        Returns:
            For each vote: which of the two answers has more of each style feature, and whether the outcome is
            `both_bad`.
        """
        rows = self.votes.row
        return HabitColumns(keep(self.columns.style[rows]), self.columns.outcome[rows] == OUTCOME_CODES["both_bad"])

    def prompt_of(self, number: int) -> int:
        """Return the lowest 32 bits of the hash of a prompt, by which alerts name the prompt.

        `number` is the number of the prompt's cohort.
        """
        labels = np.unique(self.columns.prompt[self.votes.row])
        return int(labels[number - 1]) & 0xFFFFFFFF


def _positive(label: Int64) -> Int32:
    """Number the distinct labels by positive integers. The label 0 stays 0."""
    order, group = np.argsort(label), 0
    result = new_large((len(label),), np.int32)
    for piece in pieces(len(label)):
        found = label[order[max(piece.start - 1, 0) : piece.stop]]
        new = found[1:] != found[:-1]
        numbers = group + np.cumsum(new if piece.start else np.append(False, new)[: piece.stop])
        result[order[piece]] = numbers + 1
        group = int(numbers[-1]) if len(numbers) else 0
    result[label == 0] = 0
    return result


def _provider_numbers(providers: Sequence[str | None]) -> Int64 | None:
    """Number the providers, and return the number of each model's provider, int64[K].

    The number of a provider is the index of its first model. A model without a provider has −1. The result is None if
    no model has a provider.
    """
    first: dict[str, int] = {}
    for model, provider in enumerate(providers):
        if provider is not None:
            first.setdefault(provider, model)
    return np.array([-1 if one is None else first[one] for one in providers], dtype=np.int64) if first else None
