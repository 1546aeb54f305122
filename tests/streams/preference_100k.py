"""Votes with the figures that are published of arena-human-preference-100k; its schema, without conversations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

VOTES, VOTERS, MODELS, DECISIVE, FIRST_WINS = 106_134, 49_382, 55, 65_418, 32_402
BUSIEST_HUNDREDTH = 0.16

Ints = npt.NDArray[np.int64]


def preference_100k(seed: int = 1) -> pa.Table:
    """Return the votes. Strengths are even but for one gap, which is the only one that the votes separate."""
    rng = np.random.default_rng(seed)
    theta = np.linspace(0.75, -0.75, MODELS)
    theta[MODELS // 2 :] -= 0.35
    weight = rng.gamma(3, 1, MODELS) + 0.3
    shown = rng.choice(MODELS, (2, VOTES), p=weight / weight.sum())
    while (same := shown[0] == shown[1]).any():
        shown[:, same] = rng.choice(MODELS, (2, int(same.sum())), p=weight / weight.sum())
    busy = VOTERS // 100
    sizes = [
        _sizes(rng, busy, round(BUSIEST_HUNDREDTH * VOTES), 14, 400),
        _sizes(rng, VOTERS - busy, VOTES - round(BUSIEST_HUNDREDTH * VOTES), 1, 13),
    ]
    who = rng.permutation(np.repeat(np.arange(VOTERS), np.concatenate(sizes)))
    taste = rng.normal(0, 0.8, (VOTERS, MODELS)).astype(np.float32)
    gap = theta[shown[0]] - theta[shown[1]] + taste[who, shown[0]] - taste[who, shown[1]]
    tie = _largest(rng.gumbel(0, 1, VOTES) - 0.1 * gap**2, VOTES - DECISIVE)
    first = _largest(np.where(tie, -np.inf, gap + rng.logistic(0, 1, VOTES)), FIRST_WINS)
    names = np.array([f"model-{code:02d}" for code in rng.permutation(MODELS)])
    return pa.table(
        {
            "question_id": [f"{code:032x}" for code in rng.integers(0, 2**62, VOTES).tolist()],
            "model_a": names[shown[0]],
            "model_b": names[shown[1]],
            "winner": np.where(tie, "tie", np.where(first, "model_a", "model_b")),
            "judge_hash": np.array([f"{code:032x}" for code in range(VOTERS)])[who],
            "turn": np.where(rng.random(VOTES) < 0.85, 1, rng.integers(2, 6, VOTES)),
            "anony": np.ones(VOTES, dtype=bool),
            "language": rng.choice(["English", "Russian", "Chinese"], VOTES),
            "tstamp": 1.7182368e9 + np.sort(rng.random(VOTES)) * 90 * 86_400,
            "is_refusal": np.zeros(VOTES, dtype=bool),
            "dedup_tag": [{"high_freq": False, "sampled": True}] * VOTES,
        }
    )


def _sizes(rng: np.random.Generator, voters: int, votes: int, least: int, most: int) -> Ints:
    """Return how many votes each voter casts: a few cast many, as in a Pareto distribution."""
    share = rng.pareto(1.7, voters) + 1
    for _ in range(50):
        share = np.clip(share * votes / share.sum(), least, most)
    sizes = np.floor(share).astype(np.int64)
    room = np.flatnonzero(sizes < most)
    sizes[rng.choice(room, votes - int(sizes.sum()), replace=False)] += 1
    return sizes


def _largest(values: npt.NDArray[np.float64], number: int) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(len(values), dtype=bool)
    chosen[np.argpartition(-values, number)[:number]] = True
    return chosen
