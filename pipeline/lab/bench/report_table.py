"""Writes a table of simulated votes, on which the probes of a report are compared with arenakit.

The table has the columns that arenakit reads. Voters differ in taste, and few of them cast many votes. The model that
is shown first has a small advantage. The same seed gives the same rows.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

_WINNERS = np.array(["a", "b", "tie"])
_TIES, _FIRST, _TASTE = 0.35, 0.03, 0.35


def write_report_votes(path: Path, votes: int = 100_000, models: int = 55, voters: int = 40_000, seed: int = 3) -> None:
    """Write simulated votes to a CSV file with the columns model_a, model_b, winner, voter_id and item_id.

    Args:
        path: the file to write.
        votes: number of votes.
        models: number of models.
        voters: number of voters.
        seed: seed of the simulation.
    """
    rng = np.random.default_rng(seed)
    strength, popular = rng.normal(0, 0.6, models), rng.lognormal(0, 0.5, models)
    a = rng.choice(models, votes, p=popular / popular.sum())
    b = (a + rng.integers(1, models, votes)) % models
    activity = rng.pareto(1.3, voters) + 0.2
    voter = rng.choice(voters, votes, p=activity / activity.sum())
    # The taste of a voter for a model: a fixed function of both, without a table of all pairs.
    taste_a, taste_b = (np.sin(voter * 12.9898 + model * 78.233) * _TASTE * np.sqrt(2) for model in (a, b))
    eta = strength[a] - strength[b] + taste_a - taste_b + _FIRST
    outcome = np.where(rng.random(votes) < _TIES, 2, np.where(rng.random(votes) < 1 / (1 + np.exp(-eta)), 0, 1))
    names = np.array([f"provider-{k % 11}/model-{k:02d}" for k in rng.permutation(models).tolist()])
    item = rng.integers(0, votes // 3 + 1, votes)
    with path.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["model_a", "model_b", "winner", "voter_id", "item_id"])
        rows = zip(names[a], names[b], _WINNERS[outcome], voter.tolist(), item.tolist(), strict=True)
        writer.writerows([first, second, winner, f"v{who}", f"p{what}"] for first, second, winner, who, what in rows)
