"""Votes with one planted defect each, and honest votes, written apart from `pipeline.lab.simulate`: numpy only.

A voter chooses by a logistic rule between two models that are drawn at random; positions are drawn too. Each defect is
one field of `PlantedBoard`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PlantedBoard:
    """A board with at most one defect.

    Attributes:
        models, votes: their numbers.
        spread: strengths run from +spread to −spread logits, evenly.
        tie_share: share of ties.
        voters, prompts, sessions: their numbers.
        first_bonus: advantage of the model that is shown first, in logits.
        always_first: a model that is shown first in 95% of its battles; −1 for none.
        hedger: a model whose battles are ties with the chance `hedger_ties`; −1 for none.
        cycle: number of first models that beat each other in a circle.
        pools: number of groups of models that never meet each other.
        budget: how fast the chance of a model to be drawn falls with its number.
        heavy: number of voters who cast `heavy_share` of the votes.
        heavy_taste: spread of the taste of these voters for each model, in logits.
        prompt_taste, session_taste: spread of what a prompt or a session adds to each model, in logits.
        loud_share: share of votes of one voter, who prefers model 0 to model 1 by 8 logits.
        close_top: whether models 0 and 1 are equally strong, and their votes are dealt evenly between them.
        later_swap: whether models 3 and 4 change strengths after the first turn.
        sibling_scale: factor of gaps between two models of one provider.
        seed: of all random numbers.
    """

    models: int = 8
    votes: int = 12_000
    spread: float = 1.2
    tie_share: float = 0.15
    voters: int = 3_000
    prompts: int = 2_000
    sessions: int = 4_000
    first_bonus: float = 0.0
    always_first: int = -1
    hedger: int = -1
    hedger_ties: float = 0.85
    cycle: int = 0
    pools: int = 1
    budget: float = 0.0
    heavy: int = 0
    heavy_share: float = 0.35
    heavy_taste: float = 1.2
    prompt_taste: float = 0.0
    session_taste: float = 0.0
    loud_share: float = 0.0
    close_top: bool = False
    later_swap: bool = False
    sibling_scale: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class PlantedVotes:
    """Votes as columns of length n. `outcome` is 0 (a won), 1 (b won) or 2 (tie); model a is shown first."""

    models: int
    model_a: Array
    model_b: Array
    outcome: Array
    voter: Array
    prompt: Array
    session: Array
    turn: Array
    provider: Array


def draw(board: PlantedBoard) -> PlantedVotes:
    """Draw the votes of a board."""
    rng = np.random.default_rng(board.seed)
    n, size = board.votes, board.models
    first, second = _pairs(board, rng)
    if board.always_first >= 0:
        wrong = ((second == board.always_first) & (rng.random(n) < 0.95)) | (
            (first == board.always_first) & (rng.random(n) < 0.05)
        )
        first, second = np.where(wrong, second, first), np.where(wrong, first, second)
    voter, loud = _voters(board, rng)
    prompt, session = rng.integers(0, board.prompts, n), rng.integers(0, board.sessions, n)
    turn, provider = 1 + (rng.random(n) < 0.4), np.arange(size) // 2 % max(size // 4, 1)
    strength = np.linspace(board.spread, -board.spread, size)
    if board.close_top:
        strength[1] = strength[0]
    later = strength[[0, 1, 2, 4, 3, *range(5, size)]] if board.later_swap else strength
    gap = np.where(turn == 1, strength[first] - strength[second], later[first] - later[second])
    gap *= np.where(provider[first] == provider[second], board.sibling_scale, 1.0)
    in_cycle = (first < board.cycle) & (second < board.cycle)
    forward = (second - first) % max(board.cycle, 1) <= board.cycle // 2
    # The earlier a winner's number, the larger its margin, so that the models of the circle still differ in strength.
    margin = 2.0 - 0.3 * np.where(forward, first, second)
    gap = np.where(in_cycle, np.where(forward, margin, -margin), gap)
    for codes, spread in ((prompt, board.prompt_taste), (session, board.session_taste)):
        if spread:
            taste = rng.normal(0, spread, (codes.max() + 1, size))
            gap += taste[codes, first] - taste[codes, second]
    if board.heavy:
        taste = rng.normal(0, board.heavy_taste, (board.heavy, size))
        by = np.flatnonzero(voter < board.heavy)
        gap[by] += taste[voter[by], first[by]] - taste[voter[by], second[by]]
    opinion = np.zeros(size)
    opinion[0], opinion[1] = 4.0, -4.0
    gap += board.first_bonus + np.where(loud, opinion[first] - opinion[second], 0.0)
    tied = rng.random(n) < np.where(
        (first == board.hedger) | (second == board.hedger), board.hedger_ties, board.tie_share
    )
    outcome = np.where(tied, 2, np.where(rng.random(n) < 1 / (1 + np.exp(-gap)), 0, 1))
    if board.close_top:
        first, second = _dealt(first, second, outcome)
    return PlantedVotes(size, first, second, outcome, voter, prompt, session, turn, provider)


def _pairs(board: PlantedBoard, rng: np.random.Generator) -> tuple[Array, Array]:
    size = board.models // board.pools
    weight = np.exp(-board.budget * np.arange(size))
    weight = np.outer(weight, weight)
    np.fill_diagonal(weight, 0.0)
    cell = rng.choice(size * size, board.votes, p=(weight / weight.sum()).ravel())
    pool = rng.integers(0, board.pools, board.votes) * size
    return pool + cell // size, pool + cell % size


def _dealt(first: Array, second: Array, outcome: Array) -> tuple[Array, Array]:
    """Return the models with models 0 and 1 exchanged in some votes, so that both have the same results.

    The two models are equally strong, so every exchange is as likely as the drawn votes. Votes with the same opponent,
    side and outcome go to model 0 and model 1 in turn. Only chance would else decide how many votes are between them.
    """
    one_of_two = (first < 2) != (second < 2)
    opponent, side = np.where(first < 2, second, first), first < 2
    against_others = np.flatnonzero(one_of_two)
    between = np.flatnonzero((first < 2) & (second < 2))
    first, second = first.copy(), second.copy()
    order = against_others[np.lexsort([f[against_others] for f in (side, outcome, opponent)])]
    dealt = np.arange(len(order)) % 2
    first[order], second[order] = (
        np.where(side[order], dealt, first[order]),
        np.where(side[order], second[order], dealt),
    )
    order = between[np.argsort(outcome[between], kind="stable")]
    first[order], second[order] = np.arange(len(order)) % 2, 1 - np.arange(len(order)) % 2
    return first, second


def _voters(board: PlantedBoard, rng: np.random.Generator) -> tuple[Array, npt.NDArray[np.bool_]]:
    voter = rng.integers(board.heavy, board.voters, board.votes)
    by_heavy = rng.random(board.votes) < (board.heavy_share if board.heavy else 0.0)
    voter = np.where(by_heavy, rng.integers(0, max(board.heavy, 1), board.votes), voter)
    loud = rng.random(board.votes) < board.loud_share
    return np.where(loud, board.voters, voter), loud
