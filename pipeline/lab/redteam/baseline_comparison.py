"""Voters of a hundred votes, judged by us and by others: at the published levels, and at one false alarm in a hundred.

A rule that flags more honest voters finds more attackers, so shares found are compared where the honest are flagged
equally often: each rule's bar is set so that it flags 1% of honest voters. Ours has its stated level and no such help.
"""

from __future__ import annotations

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
    """Shares of one kind of voter that are flagged.

    Attributes:
        voters: in words.
        ours: by `voter_bias` at e ≥ 100, proved; and by its unproved component besides.
        published: by each baseline at its published level.
        fixed: by each baseline where it flags 1% of the honest.
    """

    voters: str
    ours: tuple[float, float]
    published: dict[str, float]
    fixed: dict[str, float]


def compare_with_baselines(voters: int = 300, seed: int = 1) -> list[BaselineComparison]:
    """Judge honest voters and attackers of each kind.

    Args:
        voters: of each kind; of the honest three times as many.
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
    return [_judge(what, votes, board.reference, bars) for what, votes in kinds.items()]


def _judge(what: str, votes: VoterVotes, reference: Reference, bars: dict[str, float]) -> BaselineComparison:
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
