"""Compares the detector `voter_bias` with baselines, which are published rules, on voters with 100 votes each.

A rule that flags more honest voters also finds more attackers. So each baseline is evaluated twice: at its published
threshold, and at a threshold that flags 1% of honest voters. `voter_bias` is evaluated at its own threshold.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.detectors import VoterBias
from pipeline.evidence import Reference
from pipeline.lab.redteam.baselines import BASELINES, VOTES_USED
from pipeline.lab.simulate.simulated_voters import SimulatedVoters
from pipeline.scoring.detector_contracts import VoterVotes

_FALSE = 0.01


@dataclass(frozen=True)
class BaselineComparison:
    """The share of voters of one kind that `voter_bias` and each baseline flag.

    Attributes:
        voters: the kind of voter: honest, or a kind of attacker.
        ours: two shares that `voter_bias` flags at e ≥ 100. The second also counts alerts about random clicks, whose
            error rate is not proved.
        published: name of a baseline → share that it flags at its published threshold.
        fixed: name of a baseline → share that it flags at a threshold that flags 1% of honest voters.
    """

    voters: str
    ours: tuple[float, float]
    published: dict[str, float]
    fixed: dict[str, float]


def compare_with_baselines(voters: int = 300, seed: int = 1) -> list[BaselineComparison]:
    """Compute the share of honest voters, and of each kind of attacker, that each published rule (BASELINES) flags.

    Args:
        voters: number of attackers of each kind; the number of honest voters is three times as large.
        seed: seed of the simulated voters.

    Returns:
        One comparison for each kind of voter.
    """
    board = SimulatedVoters(seed=seed)
    honest = board.cast_votes("honest", 3 * voters, VOTES_USED)
    kinds: dict[str, VoterVotes] = {
        "honest": honest,
        "target only, abstains, 20 votes": board.cast_votes("target", voters, 20, otherwise="abstain"),
        "target only at 20%, normal": board.cast_votes("target", voters, VOTES_USED, sampling=0.2),
        "target only at 20%, random": board.cast_votes("target", voters, VOTES_USED, sampling=0.2, otherwise="random"),
        "target only at 1%, random": board.cast_votes("target", voters, VOTES_USED, sampling=0.01, otherwise="random"),
        "omnidirectional": board.cast_votes("omnidirectional", voters, VOTES_USED),
        "random clicks": board.cast_votes("random", voters, VOTES_USED),
        "always left": board.cast_votes("left", voters, VOTES_USED),
    }
    bars = {
        name: float(np.quantile(rule.score(honest, board.reference), 1 - _FALSE, method="higher"))
        for name, rule in BASELINES.items()
    }
    return [_evaluate(what, votes, board.reference, bars) for what, votes in kinds.items()]


def _evaluate(what: str, votes: VoterVotes, reference: Reference, bars: dict[str, float]) -> BaselineComparison:
    scores = {name: rule.score(votes, reference) for name, rule in BASELINES.items()}
    return BaselineComparison(
        what,
        _ours(votes, reference),
        {name: float((score >= BASELINES[name].bar).mean()) for name, score in scores.items()},
        {name: float((score > bars[name]).mean()) for name, score in scores.items()},
    )


def _ours(votes: VoterVotes, reference: Reference) -> tuple[float, float]:
    _, raised = VoterBias().observe(votes, [None] * len(votes.names), reference)
    proved = {one.subject for one in raised if one.direction != "random"}
    return len(proved) / len(votes.names), len({one.subject for one in raised}) / len(votes.names)
