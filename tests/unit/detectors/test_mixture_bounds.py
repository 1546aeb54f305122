"""Upper bounds of the evidence of `voter_bias` against a mixture of honest tastes."""

import numpy as np
import pytest

from pipeline.detectors.voter.voter_bias.component_codec import unpack_components
from pipeline.detectors.voter.voter_bias.evidence_path import EvaluatedVotes, compute_path
from pipeline.detectors.voter.voter_bias.mixture_evidence import MixtureEvidence
from pipeline.evidence import Reference, running_sums
from pipeline.scoring.signals import LEVELS
from tests.unit.detectors.test_voter_bias import board, play

VOTERS, EACH = 12, 96


def mixture(choose: str, reference: Reference) -> MixtureEvidence:
    """The evidence of voters who choose as `play` describes, with a look at every fifth vote."""
    rng = np.random.default_rng(11)
    rows = [(voter, *row[1:]) for voter in range(VOTERS) for row in play(rng, reference, choose, EACH, 0)]
    voter, a, b, outcome = np.array(rows, dtype=np.int64).T
    tied = (outcome == 2).astype(np.int64)
    none = np.zeros(VOTERS, dtype=np.int64)
    before, ties = running_sums(np.ones_like(tied), voter, none) - 1, running_sums(tied, voter, none) - tied
    votes = EvaluatedVotes(voter, a, b, outcome, np.full(len(rows), reference.sequence), before, ties)
    tally, targets, providers = unpack_components([None] * VOTERS)
    path = compute_path(votes, tally, targets, lambda _: reference)
    return MixtureEvidence(path, providers, lambda _: reference, reference, np.arange(0, len(rows), 5))


@pytest.mark.parametrize(("choose", "found"), [("honest", False), ("target", True), ("swap", True)])
def test_a_bound_is_above_the_evidence_and_below_a_level_that_is_far_above(choose: str, found: bool) -> None:
    evidence = mixture(choose, board(0, size=8))
    looks = evidence.looks.tolist()
    value = np.array([evidence.value(vote) for vote in looks])
    bound = np.array([evidence.bounds[vote] for vote in looks])
    assert (value <= bound).all()
    assert (bound[value < LEVELS[0] / 10] < LEVELS[0]).all()
    assert (value.max() >= LEVELS[0]) == found
