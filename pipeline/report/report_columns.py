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
from pipeline.vocabulary.large_arrays import new_large, pieces

# The sides of a file mean nothing if so large a share of the votes on a pair have the pair in one order.
_ONE_ORDER = 0.95
# Pairs with fewer votes, and files with fewer votes on such pairs, tell nothing about the order.
_LEAST_PER_PAIR, _LEAST_VOTES = 4, 50


def report_votes(battles: BattleColumns) -> ReportVotes:
    """Return the votes of a battle file as columns of a report. A column without any value is None."""
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
    """Return int8[N] with the value 1 for every vote: model a was shown first.

    None if nearly all votes of each pair have the two models in one order. Then the order says nothing about positions.
    """
    size = max(len(battles.models), 1)
    counted = [
        np.unique(battles.a[piece].astype(np.int64) * size + battles.b[piece], return_counts=True)
        for piece in pieces(len(battles))
    ]
    codes, count = (np.concatenate(column) for column in zip(*counted, strict=True))
    a, b = np.divmod(codes, size)
    pair = np.unique(np.minimum(a, b) * size + np.maximum(a, b), return_inverse=True)[1].ravel()
    votes = np.bincount(pair, count)
    first = np.bincount(pair, count * (a < b), minlength=len(votes))
    told = votes >= _LEAST_PER_PAIR
    common = np.maximum(first, votes - first)[told].sum()
    if votes[told].sum() >= _LEAST_VOTES and common >= _ONE_ORDER * votes[told].sum():
        return None
    return np.broadcast_to(np.int8(1), len(battles))


def _known(column: Int64 | None, unknown: int) -> Int64 | None:
    return None if column is None or not (column != unknown).any() else column


def _renumbered(column: Int64 | None) -> Int64 | None:
    """Return the column with new numbers: 0, 1, … in the order of the first votes, and −1 instead of 0 (no value).

    None if no vote has a value. The numbers in `column` differ from process to process; the new numbers do not.
    """
    if column is None or not column.any():
        return None
    # Not by `numpy.unique`, which needs several times as much memory.
    order, parts = np.argsort(column, kind="stable"), pieces(len(column))
    new = np.ones(len(column), dtype=np.bool_)
    for piece in parts:
        found = column[order[max(piece.start - 1, 0) : piece.stop]]
        new[max(piece.start, 1) : piece.stop] = found[1:] != found[:-1]
    first = order[new]
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    result, group = new_large((len(column),), np.int64), -1
    for piece in parts:
        groups = group + np.cumsum(new[piece])
        result[order[piece]], group = number[groups], int(groups[-1])
    result[column == 0] = -1
    return result


def _turns(column: Int64 | None) -> Int32 | None:
    return None if column is None or not column.any() else column.astype(np.int32)


def _style(battles: BattleColumns) -> Int8 | None:
    rows: npt.NDArray[np.bool_] = battles.has_style
    if not rows.any():
        return None
    result, (of_a, of_b) = new_large((len(battles), battles.style[0].shape[1]), np.int8), battles.style
    for piece in pieces(len(battles)):
        result[piece] = np.where(rows[piece, None], np.sign(of_a[piece] - of_b[piece]), 0)
    return result
