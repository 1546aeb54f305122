"""Models of an independent board that change at some time, as after a silent swap."""

from __future__ import annotations

import numpy as np

from tests.streams.independent import DAY, Board, Votes, honest_outcomes


def change_model(board: Board, model: int, day: float, shift: float) -> Votes:
    """Return the board's votes, where a model is `shift` logits stronger from a day on, for every voter."""
    spec, votes = board.spec, board.votes
    rng = np.random.default_rng([spec.seed, 2_000 + model])
    rows = ((votes.model_a == model) | (votes.model_b == model)) & (votes.at >= spec.start + day * DAY)
    changed = votes.take(rows)
    strengths = board.strengths.copy()
    strengths[model] += shift
    outcome = votes.outcome.copy()
    newcomer = changed.since >= spec.start
    outcome[rows] = honest_outcomes(
        spec, strengths, rng, changed.voter, newcomer, changed.model_a, changed.model_b
    )  # fmt: skip
    return Votes(
        votes.at, votes.since, votes.voter, votes.network, votes.category, votes.model_a, votes.model_b, outcome,
        votes.prompt, votes.attack, votes.sitting,
    )  # fmt: skip
