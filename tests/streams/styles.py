"""Votes with style counts, written apart from `pipeline.lab.simulate`: how long the answers are, and when that changes.

The length of an answer depends on the model, the category of the prompt, both together, the prompt and chance. Voters
have favourite categories, and the shares of the categories wander from week to week.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.backlog import BacklogVotes
from pipeline.backlog.voter_habits import HabitColumns
from pipeline.vocabulary.time import DAY

START = 20_000 * DAY
_CATEGORIES = 5


@dataclass(frozen=True)
class StyleBoard:
    """A board whose first model may begin to write longer answers.

    Attributes:
        models, votes, voters, days: their numbers.
        wandering: how much the logarithms of the categories' shares wander in three weeks.
        interplay: spread of what a category adds to the log length of each model's answers.
        longer: what is added to the log length of model 0 from the day `changed` on.
        seed: of all random numbers.
    """

    models: int = 20
    votes: int = 100_000
    voters: int = 8_000
    days: int = 168
    wandering: float = 0.5
    interplay: float = 0.4
    longer: float = 0.0
    changed: int = 84
    seed: int = 0


def draw_styles(board: StyleBoard) -> tuple[BacklogVotes, HabitColumns]:
    """Return the votes of a board, and what they show: the first feature is the length, the third the lists."""
    random = np.random.default_rng(board.seed)
    weights = random.pareto(1.2, board.voters) + 1
    voter = random.choice(board.voters, board.votes, p=weights / weights.sum())
    at = np.sort(random.integers(0, board.days * DAY, board.votes))
    category = _categories(board, random, voter, at)
    model_a = random.integers(0, board.models, board.votes)
    model_b = (model_a + random.integers(1, board.models, board.votes)) % board.models
    usual, prompt = random.normal(0, 0.5, board.models), random.normal(0, 0.6, board.votes)
    extra = random.normal(0, board.interplay, (board.models, _CATEGORIES))
    of_voter = random.normal(0, 0.2, (board.voters, board.models))
    lengths = []
    for model in (model_a, model_b):
        mean = usual[model] + extra[model, category] + of_voter[voter, model] + prompt
        mean += np.where((model == 0) & (at >= board.changed * DAY), board.longer, 0)
        lengths.append(mean + random.normal(0, 0.6, board.votes))
    strength = np.linspace(1, -1, board.models)
    won = random.random(board.votes) < 1 / (1 + np.exp(strength[model_b] - strength[model_a]))
    votes = BacklogVotes.from_columns(board.models, voter + 1, model_a, model_b, np.where(won, 0, 1), START + at)
    style = np.zeros((board.votes, 5), dtype=np.int8)
    style[:, 0] = np.sign(lengths[0] - lengths[1])
    style[:, 2] = np.sign(np.floor(np.exp(lengths[0])) - np.floor(np.exp(lengths[1])))
    return votes, HabitColumns(style[votes.row], np.zeros(board.votes, dtype=np.bool_))


def _categories(board: StyleBoard, random: np.random.Generator, voter: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return int64[n], the category of each prompt."""
    favour = random.dirichlet(np.full(_CATEGORIES, 0.5), board.voters)
    steps = random.normal(0, board.wandering / np.sqrt(3), (board.days // 7 + 1, _CATEGORIES))
    share = favour[voter] * np.exp(np.cumsum(steps, axis=0)[at // (7 * DAY)])
    below = np.cumsum(share / share.sum(axis=1, keepdims=True), axis=1) < random.random((board.votes, 1))
    return np.asarray(below.sum(axis=1).clip(0, _CATEGORIES - 1))
