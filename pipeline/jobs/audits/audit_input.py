"""Reads the data that the audits of a sweep need from a store, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.audits import shares
from pipeline.audits.model_releases import ModelRelease, VariantScore, releases
from pipeline.audits.sampling import DailyAppearances, SamplingLedger, ledger
from pipeline.audits.version_mismatch import StyleStatistics
from pipeline.compute.open_runner import open_runner
from pipeline.compute.style_counts import sum_answers
from pipeline.events.registry_events import RegistryEvent
from pipeline.formats.published_boards import PublishedBoard
from pipeline.jobs.audits.vote_sums import MOST_COMPARED, ComparedVotes, VoteSummer, VoteSums
from pipeline.ratings import STYLE_FEATURES, PairCounts
from pipeline.registry import Registry, RegistryState
from pipeline.store.boards import audit_queries, snapshots
from pipeline.store.log import sealed_styles, seals
from pipeline.store.votes import dictionary, registry_events
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.time import DAY, from_microseconds, to_microseconds
from pipeline.vocabulary.z_values import Z_95

# Votes are old by whole segments, of at most about this number of leaves.
_SEGMENT = 1_100_000


@dataclass(frozen=True)
class AuditInput:
    """The data that a sweep reads from a store.

    Attributes:
        events: events of the registry, in the order of arrival.
        registry: the registry that these events make up.
        votes: sums over the accepted votes in the log. Votes between two names of one model are left out.
        compared: the newest of these votes as columns, for the audits that compare votes with each other. None if
            voters were not read.
        models: keys of the models, sorted. The key of a renamed model is its first name.
        categories: term number (term_no) of a category → its text.
        published: number of published snapshots.
        vote_decreases: each decrease of a model's vote count between two successive snapshots. An entry is (model,
            sequence number of the earlier snapshot, sequence number of the later snapshot, votes before, votes after).
            The votes after are None if the later snapshot lacks the model.
        first_published: model name → time of the first snapshot with this name, in microseconds since 1970 UTC.
        board: view → model → row of the newest snapshot; empty before the first snapshot.
        snapshot: the newest snapshot; None before the first.
        boards: the defended view of the last snapshot of each day, oldest first.
        style: model → style feature → mean and standard deviation of the feature. Only models that were tested and
            later released under another name are included, with both names.
        log_size: number of leaves of the vote log.
        log_digest: root of the vote log in hexadecimal digits.
        at: time of the newest vote or registry event, in microseconds since 1970 UTC. The registry is evaluated at this
            time.
    """

    events: tuple[RegistryEvent, ...]
    registry: Registry
    votes: VoteSums
    compared: ComparedVotes | None
    models: tuple[str, ...]
    categories: Mapping[int, str]
    published: int
    vote_decreases: tuple[tuple[str, int, int, int, int | None], ...]
    first_published: Mapping[str, int]
    board: Mapping[str, Mapping[str, Mapping[str, Any]]]
    snapshot: snapshots.PublishedSnapshot | None
    boards: tuple[PublishedBoard, ...]
    style: Mapping[str, Mapping[str, StyleStatistics]]
    log_size: int
    log_digest: str
    at: int

    @property
    def state(self) -> RegistryState:
        """The state of the registry at the time `at`."""
        return self.registry.as_of(self.at)

    @cached_property
    def counts(self) -> PairCounts:
        """The pair counts of all accepted votes, with the models in the order of `models`."""
        return self.votes.counts()

    @cached_property
    def appearances(self) -> DailyAppearances:
        """Number of battles of each model on each day with votes, and the share that the sampling policy declares."""
        days, sums = self.votes.days.tolist(), self.votes
        labels = tuple(from_microseconds(day * DAY).date().isoformat() for day in days)
        declared = np.array([self._declared(day * DAY) for day in days]).reshape(len(days), len(self.models))
        return DailyAppearances(self.models, labels, sums.battles, sums.appearances, declared)

    def _declared(self, start: int) -> list[float]:
        """Return each model's declared share on the day that begins at `start`; NaN if the policy is not constant."""
        policy = self.registry.as_of(start).policy
        if policy is None or not policy.appearance or self.registry.has_policy_change(start, start + DAY):
            return [float("nan")] * len(self.models)
        return [policy.appearance.get(model, 0.0) for model in self.models]

    @cached_property
    def sampling_ledger(self) -> SamplingLedger:
        """The actual and the declared number of battles of each model, provider and licence group.

        Raises:
            BadCounts: there are no battles.
        """
        known = {name: self.state.models.get(name) for name in self.models}
        providers = {name: m.provider for name, m in known.items() if m and m.provider}
        licenses = {name: shares.license_group(m.license) for name, m in known.items() if m}
        return ledger(self.appearances, providers, licenses)

    @cached_property
    def scores(self) -> dict[str, VariantScore]:
        """Model → its score in the defended view of the newest snapshot.

        Models whose interval has width 0 are left out.
        """
        rated = {model: row for model, row in self.board.get("defended", {}).items() if row["upper"] > row["lower"]}
        se = {model: (row["upper"] - row["lower"]) / (2 * Z_95) for model, row in rated.items()}
        before = self._before_release
        return {m: VariantScore(row["rating"], se[m], row["votes"], before.get(m)) for m, row in rated.items()}

    @property
    def _before_release(self) -> dict[str, int]:
        """Number of votes of each released model up to its release."""
        count = zip(self.models, self.votes.before_release.tolist(), strict=True)
        return {name: n for name, n in count if name in release_times(self.state)}

    @cached_property
    def releases(self) -> tuple[ModelRelease, ...]:
        """Every release in the registry, with the variants that were tested before the release."""
        return releases(self.state, self.scores)

    @cached_property
    def first_rated_at(self) -> dict[str, int]:
        """Model → time of its first published rating, in microseconds since 1970 UTC.

        Models without a rating are left out.
        """
        first: dict[str, int] = {}
        for name, at in self.first_published.items():
            key = self.state.first_name(name)
            first[key] = min(at, first.get(key, at))
        return first

    @cached_property
    def first_vote_at(self) -> dict[str, int]:
        """Model → time of its first accepted vote, in microseconds since 1970 UTC.

        Models without a vote are left out.
        """
        first = self.votes.first_at
        return {name: int(at) for name, at in zip(self.models, first, strict=True) if at < np.iinfo(np.int64).max}

    def recent_votes(self, days: int) -> dict[str, int]:
        """Return model → number of its votes in the `days` days before the newest vote. A model without votes has 0."""
        return dict(zip(self.models, self.votes.recent(days).tolist(), strict=True))


def read_audit_input(connection: Connection, *, voters: bool = True) -> AuditInput:
    """Read the input of the audits in one transaction.

    Args:
        connection: a connection to the store.
        voters: whether to read the voters of votes, which only audits that compare voters need.

    Returns:
        The input of all audits.
    """
    events, _ = registry_events.read_since(connection, 0)
    registry, newest = Registry(events), audit_queries.newest_cast_at(connection)
    at = max([*(to_microseconds(event.at) for event in events), newest], default=0)
    state, (size, digest) = registry.as_of(at), seals.head(connection)
    numbers = {number: state.aliases.get(name, name) for number, name in dictionary.model_names(connection).items()}
    axis = {name: place for place, name in enumerate(sorted(set(numbers.values())))}
    place = np.zeros(max(numbers, default=0) + 1, dtype=np.int64)
    for number, name in numbers.items():
        place[number] = axis[name]
    kept = min(size, MOST_COMPARED + _SEGMENT) if voters else None
    summer = VoteSummer(tuple(axis), newest, release_times(state), compared=kept)
    for votes, old in audit_queries.read_vote_blocks(connection, voters=voters, old_leaves=size - MOST_COMPARED):
        summer.add(replace(votes, model_a=place[votes.model_a], model_b=place[votes.model_b]), old=old)
    sums = summer.sums()
    latest = snapshots.latest(connection)
    board = {}
    for view in ("raw", "defended", "style") if latest else ():
        rows = snapshots.read_rows(connection, latest.snapshot_id, view) if latest else []
        board[view] = {row["model"]: row for row in rows}
    styles_of = _styles(connection, size, state, numbers)
    categories = sorted(sums.categories())
    return AuditInput(
        tuple(events), registry, sums, summer.take_compared(), tuple(axis),
        dictionary.term_texts(connection, categories),
        snapshots.count_published(connection), tuple(audit_queries.find_falling_counts(connection)),
        audit_queries.first_published_at(connection), board, latest, _boards(connection, state), styles_of, size,
        digest, at,
    )  # fmt: skip


def _boards(connection: Connection, state: RegistryState) -> tuple[PublishedBoard, ...]:
    """Return the store's own snapshots as published boards, one a day."""
    found = []
    for at, rows in audit_queries.read_daily_boards(connection, "defended"):
        models, rating, lower, upper, votes = zip(*rows, strict=True)
        nothing = np.full(len(rows), np.nan)
        day = from_microseconds(at).date()
        found.append(
            PublishedBoard(
                "board", day, models, nothing, nothing, np.array(rating), np.array(lower), np.array(upper),
                np.array(votes, dtype=np.int64), tuple(state.provider_of(name) or "" for name in models),
                ("",) * len(rows),
            )
        )  # fmt: skip
    return tuple(found)


def _styles(
    connection: Connection, log_size: int, state: RegistryState, numbers: Mapping[int, str]
) -> dict[str, dict[str, StyleStatistics]]:
    """Return model → mean and standard deviation of each style feature.

    Only models that were released under another name are included, once under each of the two names.
    """
    linked = {
        name
        for model in state.models.values()
        if model.released_as not in (None, model.name)
        for name in (model.name, state.first_name(model.released_as or ""))
    }
    known = {number: name for number, name in sorted(numbers.items()) if name in linked}
    if not known:
        return {}
    votes = sealed_styles.read_log(connection, log_size)
    with open_runner(configuration.load().engine) as runner:
        found = sum_answers(votes, np.array([*known], dtype=np.int64), runner)
    row = {name: [at for at, other in enumerate(known.values()) if other == name] for name in known.values()}
    return {
        name: _described(*(part[rows].sum(axis=0) for part in (found.answers, found.sums, found.squares)))
        for name, rows in row.items()
        if found.answers[rows].sum() > 1
    }


def _described(answers: Int64, sums: Float64, squares: Float64) -> dict[str, StyleStatistics]:
    """Return style feature → its mean and standard deviation over the answers of one model.

    Args:
        answers: number of the model's answers, at least 2.
        sums, squares: float64[features], the sum of each feature and of its square over these answers.
    """
    mean = sums / answers
    spread = np.sqrt(np.maximum(squares - answers * mean**2, 0.0) / (answers - 1))
    columns = zip(STYLE_FEATURES, mean.tolist(), spread.tolist(), strict=True)
    return {feature: StyleStatistics(m, sd, int(answers)) for feature, m, sd in columns}


def release_times(state: RegistryState) -> dict[str, int]:
    """Return model → time of its release in microseconds since 1970 UTC. Models that were not released are left out."""
    return {name: model.released_at for name, model in state.models.items() if model.released_at is not None}
