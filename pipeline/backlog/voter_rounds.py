"""Evaluates the voters of each fold by references from the other folds, in rounds, and excludes voters with evidence.

A round fits a reference for each fold on the votes of the other folds, without the excluded voters. The round then
evaluates the voters of the fold by this reference. The evaluation gives two e-values for each voter (`voter_values`).
The first is against the band: the range of logits around the prediction of the reference that counts as honest. The
second is against honest tastes: a voter's taste is by how much the voter likes each model more or less than the
reference predicts. Voters for whom the average of the two e-values is at least EXCLUDED_AT are excluded in the next
round. The rounds end when the excluded voters stay the same, or after MOST_ROUNDS rounds.

Error rate: take an honest voter within the band, with a taste from the estimated distribution. In one round, this voter
has an average e-value of at least 1/α with probability at most α, given the votes of the other folds. After several
rounds this bound does not hold, because the voters of a fold have influenced the exclusions, and so the references that
evaluate them. The nested form (`VoterFolds.nested`) keeps the bound. For each fold it first finds the excluded voters
of the other folds, in rounds that do not use the fold. Then it evaluates the fold once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.backlog.reference_fitter import ReferenceFitter
from pipeline.backlog.voter_values import VoterEvaluator, VoterValues
from pipeline.evidence import Reference
from pipeline.vocabulary.arrays import Bool, Int8

EXCLUDED_AT = 1e4
"""A voter whose average e-value is at least this is excluded from the references of the next round."""

MOST_ROUNDS = 10

Progress = Callable[[], None]
"""A function that is called after each evaluation of a fold."""


def no_progress() -> None:
    """Do nothing. This is the default for arguments that report progress."""


@dataclass(frozen=True)
class VoterRounds:
    """The e-values of all voters after the last round of an evaluation, and the voters that were excluded.

    Attributes:
        values: the e-values of all voters; 1 for voters who were not evaluated.
        excluded: bool[v], true for voters whose average of the two e-values is at least EXCLUDED_AT after the last
            round, and for voters who were under suspicion before the first round (`VoterFolds.suspects`).
        rounds: number of rounds; the largest number for any fold if each fold has rounds of its own.
        evaluated: bool[v], false for the voters of a fold if the votes of all other folds cannot be rated.
        references: for each fold of the last round, the reference from the other folds; None if they cannot be rated.
    """

    values: VoterValues
    excluded: Bool
    rounds: int
    evaluated: Bool
    references: list[Reference | None]


@dataclass(frozen=True)
class VoterFolds:
    """Evaluates the voters of each fold by references that are fitted on the other folds.

    Attributes:
        evaluator: evaluates voters by a reference.
        fitter: fits references on the votes of some of the folds.
        fold: int8[v], the fold of each voter.
        folds: number of folds.
        suspects: bool[v], voters whose votes count in no reference, from the first round on.
        progress: called after each evaluation of a fold.
    """

    evaluator: VoterEvaluator
    fitter: ReferenceFitter
    fold: Int8
    folds: int
    suspects: Bool
    progress: Progress = no_progress

    def iterated(self, without: Sequence[int] = ()) -> VoterRounds:
        """Evaluate every fold in rounds until the excluded voters stay the same, in at most MOST_ROUNDS rounds.

        Args:
            without: folds that are neither evaluated nor used for references. Their voters have the e-value 1.

        Returns:
            The e-values of all voters in the last round.
        """
        excluded, rounds = self.suspects, 0
        folds = [k for k in range(self.folds) if k not in without]
        while True:
            values, evaluated, rounds = VoterValues.ones(len(self.fold)), np.zeros_like(excluded), rounds + 1
            used = self._evaluate(folds, [[k, *without] for k in folds], excluded, values, evaluated)
            found = self.suspects | (values.average >= EXCLUDED_AT)
            if rounds == MOST_ROUNDS or not (found ^ excluded).any():
                return VoterRounds(values, found, rounds, evaluated, used)
            excluded = found

    def nested(self) -> VoterRounds:
        """Evaluate each fold once, by a reference that no voter of the fold has influenced.

        For each fold, `iterated` first finds the excluded voters of the other folds, without using the votes of this
        fold. With F folds, this takes about F times as long as one call of `iterated`.

        Returns:
            The e-values of all voters. `excluded` is true for the voters in `suspects`, and for the voters whose
            average e-value reached EXCLUDED_AT.
        """
        values, evaluated = VoterValues.ones(len(self.fold)), np.zeros(len(self.fold), dtype=np.bool_)
        rounds, used = 0, []
        for k in range(self.folds):
            others = self.iterated([k])
            rounds = max(rounds, others.rounds)
            used += self._evaluate([k], [[k]], others.excluded, values, evaluated)
        return VoterRounds(values, self.suspects | (values.average >= EXCLUDED_AT), rounds, evaluated, used)

    def _evaluate(
        self, folds: Sequence[int], held_out: Sequence[Sequence[int]], excluded: Bool, values: VoterValues,
        evaluated: Bool,
    ) -> list[Reference | None]:  # fmt: skip
        """Fit a reference for each of some folds, and evaluate the voters of the fold by this reference.

        Args:
            folds: the folds to evaluate.
            held_out: for each of these folds, the folds whose votes are left out of its reference.
            excluded: bool[v], voters that do not count in the references.
            values: receives the values of the evaluated voters.
            evaluated: bool[v], set to true for the evaluated voters.

        Returns:
            The reference of each fold; None if the other votes cannot be rated.
        """
        references = self.fitter.fit_without(held_out, excluded)
        for k, reference in zip(folds, references, strict=True):
            if reference is not None:
                # A copy: the tables that an evaluation keeps in a reference are large.
                self.evaluator.evaluate(replace(reference), self.fold == k, values)
                evaluated |= self.fold == k
            self.progress()
        return references
