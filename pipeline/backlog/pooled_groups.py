"""Pools the evidence of the voters of one cohort: a network, the accounts of one age, a prompt, or a session.

The voters of a cohort are evaluated by a reference that was fitted without the fold of the cohort. So a cohort's own
votes cannot make the cohort look honest. The cohort with the strongest evidence is reported. Its members are excluded,
and the other voters are evaluated again, until no cohort is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline.backlog.cohort_cells import CohortCells, CohortVotes, PairNumbers, cells_of_pair, log_products
from pipeline.backlog.cohorts import LEAST_VOTERS, Cohorts
from pipeline.backlog.folds import FOLDS, fold_of, hash_voters
from pipeline.backlog.pool_rounds import ALPHA, MEMBER
from pipeline.backlog.pooled_voters import SIDES, find_members
from pipeline.backlog.reference_fitter import ReferenceFitter
from pipeline.backlog.voter_rounds import Progress, no_progress
from pipeline.backlog.voter_values import VoterEvaluator
from pipeline.vocabulary.arrays import Bool, Float64, Int8, Int64
from pipeline.vocabulary.large_arrays import keep

_MOST_ROUNDS = 20
# So few cohorts have a fold each.
_FEW = 10


@dataclass(frozen=True)
class GroupFinding:
    """A cohort whose voters promote or demote a model.

    Attributes:
        group: integer that identifies the cohort.
        model: integer that identifies the model.
        direction: `promotes` or `demotes`.
        log_e: ln of the e-value. The null hypothesis is that all voters of the cohort are honest about the model.
        voters: count of the cohort's voters who have votes on the model.
        members: int64[k], integers that identify the voters who promote or demote the model, ascending.
        likelihood: float64[k], for each of these voters the probability that the voter promotes or demotes the model.
        tests: number of pairs of a cohort and a model that were tested.
    """

    group: int
    model: int
    direction: str
    log_e: float
    voters: int
    members: Int64
    likelihood: Float64
    tests: int

    def joined(self, more: GroupFinding) -> GroupFinding:
        """Return this finding with the members of `more` added, and with their probabilities (`likelihood`).

        Members are sorted again by position. All other values are taken from this finding, also `log_e` and `voters`.

        Args:
            more: a later finding about the same cohort and model. No member is in both findings.
        """
        members = np.concatenate([self.members, more.members])
        order = np.argsort(members)
        likelihood = np.concatenate([self.likelihood, more.likelihood])
        return replace(self, members=members[order], likelihood=likelihood[order])


@dataclass(frozen=True)
class GroupPools:
    """Pools the voters of each cohort to find the models that they promote or demote together.

    Attributes:
        evaluator: has the votes and their cells.
        cohorts: the cohorts of the votes.
        key: the secret key by which cohorts are assigned to folds.
        progress: called after each pass over the voters.
    """

    evaluator: VoterEvaluator
    cohorts: Cohorts
    key: bytes
    progress: Progress = no_progress

    def find(self, excluded: Bool, alpha: float = ALPHA) -> list[GroupFinding]:
        """Find cohorts whose voters promote or demote a model, one after another.

        Each round finds the pair of a cohort and a model with the largest e-value, and excludes the members. The rounds
        end when no e-value is above t/α, where t is the number of tested pairs, or after 20 rounds. If the rest of a
        cohort is found again on the same model, its members are added to the first finding.

        Args:
            excluded: bool[v], voters who count neither in references nor in cohorts; not changed.
            alpha: α, the tolerated probability of a false finding.

        Returns:
            The findings, in the order in which they were found; an empty list if no vote is in a cohort.
        """
        if not self.cohorts.group.any():
            return []
        found: dict[tuple[int, int], GroupFinding] = {}
        left_out = np.zeros(len(self.evaluator.votes.voter), dtype=np.bool_)
        closed: set[tuple[int, int]] = set()
        for _ in range(_MOST_ROUNDS):
            one = self._strongest(excluded, left_out, closed, alpha)
            self.progress()
            if one is None:
                break
            pair = one.group, one.model
            found[pair] = found[pair].joined(one) if pair in found else one
            if len(one.members):
                excluded = excluded.copy()
                excluded[one.members] = True
            else:  # Nobody more can be named: these votes count in no reference of the others.
                votes = self.evaluator.votes
                on_model = (votes.model_a == one.model) | (votes.model_b == one.model)
                left_out = left_out | (on_model & (self.cohorts.group == one.group))
                closed.add(pair)
        return list(found.values())

    def _strongest(
        self, excluded: Bool, left_out: Bool, closed: set[tuple[int, int]], alpha: float
    ) -> GroupFinding | None:
        """Test all pairs of a cohort and a model, and return the pair with the largest e-value as a finding.

        The result is None unless this e-value is above the number of tested pairs divided by `alpha`.

        Args:
            excluded: bool[v], voters who count neither in references nor in cohorts.
            left_out: bool[n], votes that count in no reference.
            closed: pairs (cohort, model) that are not searched.
            alpha: the tolerated probability of a false finding.
        """
        own, votes = self._votes, self.evaluator.votes
        folds = int(self._fold_of_part.max(initial=0)) + 1
        # Votes in no cohort are of a fold that no reference leaves out.
        fitter = ReferenceFitter(votes, self.evaluator.cells, self._fold_of_vote, folds + 1, left_out)
        counted = ~excluded[own.owner]
        pair_of = PairNumbers.of(own, counted, LEAST_VOTERS)
        parts = [
            CohortCells.of(own, reference, counted & (self._fold_of_part == k), self.cohorts.raised)
            for k, reference in enumerate(fitter.fit_without([[k] for k in range(folds)], excluded))
            if reference is not None
        ]
        if not parts or not len(pair_of.code):
            return None
        logs = log_products(parts, pair_of)
        whole = np.logaddexp.reduce(logs, axis=1)
        for group, model in closed:
            whole[pair_of.code == group * votes.models + model] = -np.inf
        best = int(whole.argmax())
        if whole[best] <= math.log(len(whole) / alpha):
            return None
        group, model = divmod(int(pair_of.code[best]), votes.models)
        side = int(logs[best].argmax())
        some = cells_of_pair(parts, pair_of, best)
        posterior = find_members(some, side, np.zeros(len(excluded), dtype=np.int64))
        order = np.argsort(some.voter)
        named = order[posterior[order] >= MEMBER]
        return GroupFinding(
            group, model, SIDES[side], float(whole[best]), int(pair_of.voters[best]), some.voter[named],
            posterior[named], len(whole),
        )  # fmt: skip

    @cached_property
    def _votes(self) -> CohortVotes:
        return CohortVotes.of(self.evaluator.votes, self.cohorts.group)

    @cached_property
    def _fold_of_part(self) -> Int8:
        """int8[p], the fold of each part. A part has a voter's votes in one cohort.

        If there are few cohorts, each is a fold of its own; otherwise a keyed hash of the cohort decides.
        """
        numbers, place = self._votes.numbers
        if len(numbers) <= _FEW:
            return place.astype(np.int8)
        return fold_of(hash_voters(numbers, self.key), FOLDS)[place]

    @cached_property
    def _fold_of_vote(self) -> Int8:
        """int8[n], the fold of each vote's cohort, 0 to F − 1; F (the number of folds) for a vote in no cohort."""
        own = self._votes
        fold = np.full(int(self.cohorts.group.max(initial=0)) + 1, self._fold_of_part.max(initial=0) + 1, dtype=np.int8)
        fold[own.group] = self._fold_of_part
        return keep(fold[self.cohorts.group])
