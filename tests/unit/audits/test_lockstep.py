"""Lockstep: a planted ring is found, strangers are not, and a slow reference agrees."""

from __future__ import annotations

from itertools import combinations
from math import log

import numpy as np

from pipeline.audits import lockstep as lockstep_module
from pipeline.audits.lockstep import BUCKET, lockstep, lockstep_findings


def crowd(votes: int, voters: int, seed: int) -> list[np.ndarray]:
    """Strangers: voters, pairs and prompts by popularity, outcomes and times by chance."""
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(1, voters + 1) ** 0.5
    who = rng.choice(voters, votes, p=weight / weight.sum())
    pair = rng.zipf(1.5, votes) % 400
    prompt = np.where(rng.random(votes) < 0.1, rng.integers(0, 20, votes), 100 + rng.integers(0, votes * 5, votes))
    return [who, pair, rng.integers(0, 3, votes), rng.integers(0, 14 * 144, votes) * BUCKET, prompt]


def ring(members: int, each: int, first: int, seed: int) -> list[np.ndarray]:
    """`members` voters who answer the same battles alike within minutes."""
    rng = np.random.default_rng(seed)
    pair, at, prompt = rng.integers(0, 400, each), rng.integers(0, 2016, each) * BUCKET, 10**8 + np.arange(each)
    who = np.repeat(np.arange(first, first + members), each)
    return [who, *(np.tile(c, members) for c in (pair, np.zeros(each, dtype=int), at, prompt))]


def test_a_ring_is_found_and_ranked_first() -> None:
    columns = [np.concatenate(pair) for pair in zip(crowd(20_000, 4_000, 1), ring(6, 5, 4_000, 2), strict=True)]
    groups = lockstep(*columns)
    assert groups[0].voters == tuple(range(4_000, 4_006))
    assert groups[0].cells == 5
    (finding,) = lockstep_findings(groups[:1], 4_006, lambda code: f"{code:05}")
    assert (finding.subject, finding.severity, finding.evidence["number"]) == ("04000", "warning", 6)
    assert finding.p_value < 0.01


def test_strangers_are_no_group() -> None:
    assert sum(len(lockstep(*crowd(20_000, 4_000, seed))) for seed in range(10, 20)) == 0


def test_a_prompt_that_everybody_tries_makes_no_group() -> None:
    """One prompt, one pair, one hour: 2,000 voters give the popular answer."""
    rng = np.random.default_rng(3)
    voters = np.arange(2_000)
    busy = [
        voters,
        np.zeros(2_000, int),
        np.zeros(2_000, int),
        rng.integers(0, 6, 2_000) * BUCKET,
        np.zeros(2_000, int),
    ]
    columns = [np.concatenate(pair) for pair in zip(crowd(20_000, 4_000, 4), busy, strict=True)]
    assert lockstep(*columns) == ()


def test_links_are_those_of_the_formula() -> None:
    columns = [np.concatenate(pair) for pair in zip(crowd(400, 60, 5), ring(3, 4, 60, 6), strict=True)]
    who, what, when, asked = columns[0], columns[1] * 10 + columns[2], columns[3] // BUCKET, columns[4]
    cell = list(zip(what.tolist(), when.tolist(), asked.tolist(), strict=True))
    n = len(who)
    voters, votes = sorted(set(who.tolist())), {v: int((who == v).sum()) for v in set(who.tolist())}
    of = {v: {c for c, w in zip(cell, who.tolist(), strict=True) if w == v} for v in voters}

    def probability(c: tuple[int, int, int]) -> float:
        return float((what == c[0]).mean() * (when == c[1]).mean() * (asked == c[2]).mean())

    linked = set()
    for u, v in combinations(voters, 2):
        score = sum(max(0.0, -log(max(votes[u], votes[v]) * probability(c))) for c in of[u] & of[v])
        if score >= log(len(voters) ** 2 / 2 / 0.01):
            linked |= {u, v}
    assert n == 412
    assert linked == {60, 61, 62}
    assert {v for group in lockstep(*columns) for v in group.voters} == linked


def test_votes_without_a_voter_are_left_out() -> None:
    columns = ring(6, 5, 0, 2)
    columns[0] = np.full_like(columns[0], -1)
    assert lockstep(*columns) == ()
    assert lockstep([], [], [], [], []) == ()


def test_cells_of_one_voter_each_pair_nobody() -> None:
    first, second, cell = lockstep_module._pairs(np.array([[0, 7], [1, 8], [2, 7]]))
    assert (len(first), len(second), len(cell)) == (0, 0, 0)
