"""Evaluates a backlog: votes from before the first snapshot, or the votes of the last weeks. No store is needed.

The evaluation has eight steps. They find, in this order:

1. single voters with much evidence
2. their accomplices, who have fewer votes and promote or demote the same model
3. groups of voters with few votes each, who promote or demote a model together
4. cohorts that promote or demote a model
5. models whose results differ in one period
6. models whose answers changed their style
7. voters with unusual habits
8. voters who seem to click at random

A voter whom one step finds counts in no reference of the later steps, so that an attack is reported once. The last step
is an exception: it uses the references of the first step, and skips voters who were found before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pipeline.backlog.answer_styles import AnswerStyles, StyleFinding
from pipeline.backlog.backlog_votes import BacklogCells, BacklogVotes
from pipeline.backlog.band_values import random_values
from pipeline.backlog.cohorts import Cohorts
from pipeline.backlog.explanations import explain_voters
from pipeline.backlog.folds import FOLDS, fold_of, hash_voters
from pipeline.backlog.model_periods import ModelPeriods, PeriodFinding
from pipeline.backlog.pool_rounds import ALPHA, KnownTarget, PooledFinding, VoterPools
from pipeline.backlog.pooled_groups import GroupFinding, GroupPools
from pipeline.backlog.pooled_voters import SIDES
from pipeline.backlog.reference_fitter import ReferenceFitter
from pipeline.backlog.voter_habits import HabitColumns, HabitFinding, VoterHabits
from pipeline.backlog.voter_rounds import Progress, VoterFolds, VoterRounds, no_progress
from pipeline.backlog.voter_values import VoterEvaluator
from pipeline.scoring.signals import ALPHA as VOTER_ALPHA
from pipeline.scoring.signals import CRITICAL
from pipeline.vocabulary.arrays import Bool, Int64

Nested = Literal["never", "if_found", "always"]


@dataclass(frozen=True)
class VoterFinding:
    """A voter whose e-value reaches 1/α, or whose `strict` e-value reaches CRITICAL.

    Attributes:
        voter: position of the voter in the backlog.
        votes, ties: number of the voter's votes and ties.
        band, cells: the e-values in the last round. `band` is against the least favourable honest voter in the band,
            `cells` against an honest voter whose taste is drawn from the distribution of tastes.
        strict: the e-value of the nested form, in which the voter's fold influenced no reference (`voter_rounds`). It
            is the smaller of two values in that form: `cells`, and the average of `band` and `cells`. None if the
            nested form was not computed. Only `strict` may exclude a voter without a person's decision.
        likeliest: the alternatives that explain the votes best (`explanations`).
    """

    voter: int
    votes: int
    ties: int
    band: float
    cells: float
    strict: float | None
    likeliest: list[dict[str, Any]]

    @property
    def e_value(self) -> float:
        """The e-value of the voter without the nested form: the average of `band` and `cells`."""
        return (self.band + self.cells) / 2


@dataclass(frozen=True)
class RandomFinding:
    """A voter who seems to click at random. The error rate is measured, not proved, so this is only a warning.

    Attributes:
        voter: position of the voter in the backlog.
        votes, ties: number of the voter's votes and ties.
        e_value: the evidence against an honest voter, at least 1/α.
    """

    voter: int
    votes: int
    ties: int
    e_value: float


@dataclass(frozen=True)
class BacklogFindings:
    """The findings of an evaluation.

    Attributes:
        rounds: number of rounds in which single voters were evaluated.
        nested_rounds: the largest number of rounds in the nested form; 0 if it was not computed.
        evaluated: bool[v], false for voters whose votes could not be compared with the votes of others.
        voters: single voters with enough evidence, the strongest first.
        pools: models that a group of voters promotes or demotes.
        groups: kind of cohorts, such as `network` → the cohorts that promote or demote a model.
        periods: models whose results in some period of four weeks differ from their results in all other periods.
        unusual: bool[v], true for voters in `voters` and for members in `pools` and `groups`. It is also true for
            voters who were excluded in the rounds for single voters, or by the caller (`BacklogEvaluation.suspects`).
        habits: voters with a habit, such as a preference for long answers, who are not in `unusual`.
        random: voters who seem to click at random and who are not in `unusual`.
        styles: models whose answers have another style in some periods of four weeks than in the other periods.
    """

    rounds: int
    nested_rounds: int
    evaluated: Bool
    voters: list[VoterFinding]
    pools: list[PooledFinding]
    groups: dict[str, list[GroupFinding]]
    periods: list[PeriodFinding]
    unusual: Bool
    habits: list[HabitFinding] = field(default_factory=list)
    random: list[RandomFinding] = field(default_factory=list)
    styles: list[StyleFinding] = field(default_factory=list)


@dataclass(frozen=True)
class BacklogEvaluation:
    """Evaluates the votes of a backlog.

    Attributes:
        votes: the votes of the backlog.
        key: the secret key of the folds, so that nobody can choose a fold.
        nested: when the nested form (`voter_rounds`) is computed. "always": in every evaluation. "if_found": if any
            voter's average of the two e-values reaches CRITICAL without the nested form. Any other value: never.
        cohorts: the kinds of cohorts that are tested, in this order.
        suspects: bool[v], voters whose votes count in no reference, for example because they are already excluded; None
            if there are no such voters.
        alpha: for each kind of pooled tests, the tolerated probability of a false finding.
        progress: called after each pass over some of the votes.
        habits: the columns from which habits are evaluated; None if habits are not evaluated.
        providers: int64[M], the provider of each model, given as the number of one of the provider's models; −1 for a
            model whose provider is unknown. None if no provider is known.
    """

    votes: BacklogVotes
    key: bytes
    nested: Nested = "never"
    cohorts: Sequence[Cohorts] = ()
    suspects: Bool | None = None
    alpha: float = ALPHA
    progress: Progress = no_progress
    habits: HabitColumns | None = None
    providers: Int64 | None = None

    def run(self) -> BacklogFindings:
        """Run all eight steps of the evaluation (module docstring), and return the findings."""
        votes = self.votes
        cells, hashes = BacklogCells.of(votes), hash_voters(votes.names, self.key)
        evaluator, fold = VoterEvaluator(votes, cells, self.providers), fold_of(hashes)
        suspects = np.zeros(len(votes.names), dtype=np.bool_) if self.suspects is None else self.suspects
        fitter = ReferenceFitter(votes, cells, fold[votes.voter], FOLDS)
        folds = VoterFolds(evaluator, fitter, fold, FOLDS, suspects, self.progress)
        first = folds.iterated()
        critical = bool((first.values.average >= CRITICAL).any())
        nested = folds.nested() if self.nested == "always" or (self.nested == "if_found" and critical) else None
        voters = self._voters(evaluator, fold, first, nested)
        excluded = first.excluded | (nested.excluded if nested is not None else False)
        pooling = VoterPools(evaluator, hashes, self.progress)
        pools = pooling.find_accomplices(_known_targets(voters), suspects, excluded)
        excluded = _with(excluded, [one.members for one in pools])
        pools += pooling.find(excluded, self.alpha)[0]
        excluded = _with(excluded, [one.members for one in pools])
        groups = {}
        for one in self.cohorts:
            groups[one.kind] = GroupPools(evaluator, one, self.key, self.progress).find(excluded, self.alpha)
            excluded = _with(excluded, [found.members for found in groups[one.kind]])
        periods = ModelPeriods(evaluator, self.progress).find(excluded, self.alpha)
        rounds = nested.rounds if nested is not None else 0
        unusual = _with(excluded, [np.array([one.voter for one in voters], dtype=np.int64)])
        habits, styles = [], []
        if self.habits is not None:
            styles = AnswerStyles(votes, self.habits.style, self.progress).find(excluded, self.alpha)
            references = fitter.fit_without([[k] for k in range(FOLDS)], unusual)
            habits = VoterHabits(votes, self.habits, fold).find(references, unusual)
            self.progress()
        random = _random_clickers(evaluator, fold, first, unusual)
        return BacklogFindings(
            first.rounds,
            rounds,
            first.evaluated,
            voters,
            pools,
            groups,
            periods,
            unusual,
            habits,
            random,
            styles,
        )

    def _voters(
        self, evaluator: VoterEvaluator, fold: Any, first: VoterRounds, nested: VoterRounds | None
    ) -> list[VoterFinding]:
        """Return the voters whose evidence reaches 1/α, with explanations."""
        average, strict = first.values.average, None
        flagged = average >= 1 / VOTER_ALPHA
        if nested is not None:
            strict = np.minimum(nested.values.average, nested.values.cells)
            flagged = flagged | (strict >= CRITICAL)
        likeliest: dict[int, list[dict[str, Any]]] = {}
        for k, reference in enumerate(first.references):
            who = flagged & (fold == k)
            if reference is not None and who.any():
                likeliest |= explain_voters(evaluator, reference, who)
        votes = evaluator.votes
        found = [
            VoterFinding(
                v, int(votes.votes_of_voter[v]), int(votes.ties_of_voter[v]), float(first.values.band[v]),
                float(first.values.cells[v]), None if strict is None else float(strict[v]), likeliest[v],
            )
            for v in sorted(likeliest)
        ]  # fmt: skip
        return sorted(found, key=lambda one: -one.e_value)


def _random_clickers(evaluator: VoterEvaluator, fold: Any, first: VoterRounds, named: Bool) -> list[RandomFinding]:
    """Return the voters who seem to click at random and are not named already, the strongest evidence first."""
    votes, found = evaluator.votes, []
    for k, reference in enumerate(first.references):
        who = ~named & (fold == k)
        if reference is not None and who.any():
            values = random_values(votes, np.flatnonzero(who[votes.voter]), reference)
            found += [
                RandomFinding(v, int(votes.votes_of_voter[v]), int(votes.ties_of_voter[v]), float(values[v]))
                for v in np.flatnonzero(who & (values >= 1 / VOTER_ALPHA)).tolist()
            ]
    return sorted(found, key=lambda one: -one.e_value)


def _known_targets(voters: list[VoterFinding]) -> list[KnownTarget]:
    """Return the models that voters with e-values of at least CRITICAL promote or demote, the strongest voter first."""
    found: dict[tuple[int, int], KnownTarget] = {}
    for one in voters:
        best = one.likeliest[0]
        if one.e_value >= CRITICAL and best["what"] in SIDES:
            side = SIDES.index(best["what"])
            found.setdefault((best["model"], side), KnownTarget(best["model"], side, math.log(one.e_value)))
    return list(found.values())


def _with(excluded: Bool, members: list[Int64]) -> Bool:
    """Return bool[v], true for the voters who are excluded already and for the members of groups.

    Args:
        excluded: bool[v], true for the voters who are excluded already; not changed.
        members: for each group, int64, the positions of its members.
    """
    found = excluded.copy()
    for some in members:
        found[some] = True
    return found
