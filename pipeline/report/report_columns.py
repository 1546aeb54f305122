"""Makes the columns of a report from the votes of a battle file.

Numbers replace the names of voters, prompts, sessions and networks, so that no report contains such a name.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipeline.ratings.battle_columns import BattleColumns
from pipeline.report.model_providers import find_providers
from pipeline.report.report_votes import NO_TIME, ReportVotes
from pipeline.vocabulary.arrays import Int8, Int32, Int64

# The sides of a file mean nothing if so large a share of the votes on a pair have the pair in one order.
_ONE_ORDER = 0.95
# Pairs with fewer votes, and files with fewer votes on such pairs, tell nothing about the order.
_LEAST_PER_PAIR, _LEAST_VOTES = 4, 50


def report_votes(battles: BattleColumns) -> ReportVotes:
    """Return the votes of a battle file as columns of a report; a column without any value is None."""
    numbers, found = battles.numbers, find_providers(battles.models)
    categories, category = battles.groups["category"]
    languages, language = battles.groups["language"]
    return ReportVotes(
        models=battles.models,
        model_a=battles.a,
        model_b=battles.b,
        outcome=battles.outcome,
        position=_positions(battles),
        voter=_known(battles.voter, -1),
        prompt=_renumbered(battles.prompt),
        session=_renumbered(numbers.get("session")),
        network=_renumbered(numbers.get("network")),
        time=_known(numbers.get("cast_at"), NO_TIME),
        voter_since=_known(numbers.get("voter_since"), NO_TIME),
        category=category if categories else None,
        language=language if languages else None,
        categories=categories,
        languages=languages,
        turn=_turns(numbers.get("turn")),
        style=_style(battles),
        provider=found and found[1],
        providers=found[0] if found else (),
    )


def _positions(battles: BattleColumns) -> Int8 | None:
    """Return int8[N] of 1, which means that model a was shown first.

    None if nearly all votes of each pair have the two models in one order. Then the order says nothing about positions.
    """
    low, high = np.minimum(battles.a, battles.b), np.maximum(battles.a, battles.b)
    pair = np.unique(low.astype(np.int64) * len(battles.models) + high, return_inverse=True)[1].ravel()
    votes = np.bincount(pair)
    first = np.bincount(pair, weights=battles.a < battles.b, minlength=len(votes))
    told = votes >= _LEAST_PER_PAIR
    common = np.maximum(first, votes - first)[told].sum()
    if votes[told].sum() >= _LEAST_VOTES and common >= _ONE_ORDER * votes[told].sum():
        return None
    return np.ones(len(battles), dtype=np.int8)


def _known(column: Int64 | None, unknown: int) -> Int64 | None:
    return None if column is None or not (column != unknown).any() else column


def _renumbered(column: Int64 | None) -> Int64 | None:
    """Return the column with new numbers: 0, 1, … in the order of the first votes, and −1 instead of 0 (no value).

    None if no vote has a value. The numbers in `column` differ from process to process; the new numbers do not.
    """
    if column is None or not column.any():
        return None
    _, first, place = np.unique(column, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return np.where(column == 0, -1, order[place.ravel()])


def _turns(column: Int64 | None) -> Int32 | None:
    return None if column is None or not column.any() else column.astype(np.int32)


def _style(battles: BattleColumns) -> Int8 | None:
    rows: npt.NDArray[np.bool_] = battles.has_style
    if not rows.any():
        return None
    of_a, of_b = battles.style
    return np.where(rows[:, None], np.sign(of_a - of_b), 0).astype(np.int8)
