"""Runs the audit `lockstep`: finds groups of voters who cast the same votes at the same time.

In this audit a cell is a combination of pair of models, outcome, ten-minute bucket and prompt. The probability π_c of
cell c is the product of three shares of all votes: the share of votes on this pair with this outcome, the share of
votes in this bucket, and the share of votes with this prompt. The cell's own share of votes is not used, because a
group would make its own cells likely. An independent voter with n votes has a vote in cell c with probability at most n
π_c. Of the numbers of votes of two voters u and v, let n be the larger one. The score of the two voters is

    s(u, v) = Σ over shared cells of ln(1 / (n π_c)).

They are linked if s ≥ ln(V²/2 / α), where V is the number of voters. Then the expected number of false links on a board
is at most about α. Cells with more than 50 votes are skipped, because many people use a popular prompt at a busy hour.

Linked voters form a group. Groups are ranked by the density of FRAUDAR (Hooi et al. 2016, KDD). The density is the
weighted number of shared votes, divided by the sum of the number of voters and the number of shared cells. A cell is
shared if at least two of the group's voters have a vote in it; these votes are the shared votes. A vote in a cell with
x votes has the weight 1/log(x + 5). Before groups are ranked, the voters who lower the density of their group are
removed.

A group is evidence for a person to review and never a reason for automatic removal.

Blind spot: friends who test the same prompt together look like a group.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pipeline.audits.finding import ALPHA, Finding
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.large_arrays import new_large, pieces
from pipeline.vocabulary.time import MINUTE

AUDIT = "lockstep"
Integers = npt.NDArray[np.signedinteger[Any]]
BUCKET = 10 * MINUTE
_HEAVY = 50
_SHOWN = 20
# Factors of a hash of three numbers (modulo 2⁶⁴); two cells with one hash are separated afterwards.
_ODD = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


@dataclass(frozen=True, slots=True)
class LockstepGroup:
    """A group of voters who cast the same votes at the same time.

    Attributes:
        voters: the voters, given by the integers that `lockstep` was called with, ascending.
        cells: number of cells (module docstring) in which at least two of the voters have a vote.
        density: density of the group by FRAUDAR (module docstring): the higher, the more votes the voters share.
        score: largest score s(u, v) of two voters of the group, in nats.
    """

    voters: tuple[int, ...]
    cells: int
    density: float
    score: float


def lockstep(
    voter: npt.ArrayLike, pair: npt.ArrayLike, outcome: npt.ArrayLike, at: npt.ArrayLike, prompt: npt.ArrayLike
) -> tuple[LockstepGroup, ...]:
    """Find groups of voters who cast the same votes at the same time, more often than chance explains.

    Args:
        voter: int[n], an integer for the voter of each vote. Votes with −1 (no voter) are left out.
        pair: int[n], an integer for the pair of models of each vote. The pairs (a, b) and (b, a) must have the same
            integer.
        outcome: int[n], the outcome of each vote, seen from a fixed side of the pair.
        at: int[n], time of each vote in microseconds since 1970 UTC.
        prompt: int[n], an integer for the prompt of each vote. All votes without a prompt must have the same integer.

    Returns:
        The groups, the densest first; none if no two voters share a vote on one pair, prompt and ten minutes.
    """
    who, left, result, moment, asked = (
        np.asarray(column, dtype=np.int64) for column in (voter, pair, outcome, at, prompt)
    )
    what = left * (int(result.max(initial=0)) + 1) + result
    return lockstep_of_cells(who, what, moment // BUCKET, asked)


def lockstep_of_cells(who: Int64, what: Integers, when: Integers, asked: Int64) -> tuple[LockstepGroup, ...]:
    """Find groups of voters as `lockstep` does, in votes whose cells are given.

    Args:
        who: int64[n], the voter of each vote, −1 for no voter.
        what: int[n], an integer for the pair of models and the outcome of each vote.
        when: int[n], the number of each vote's bucket of ten minutes (BUCKET).
        asked: int[n], an integer for the prompt of each vote.
    """
    known = who != -1
    if not known.all():  # a copy of 20 million votes takes 0.5 GB
        who, what, when, asked = who[known], what[known], when[known], asked[known]
    if not len(who):
        return ()
    # Few cells have two votes: one sort finds them, and only they are processed further.
    rows = _shared(what, when, asked)
    if not len(rows):
        return ()
    n = len(who)
    log_p = np.zeros(len(rows))
    for column in (what, when, asked):
        log_p += np.log(_count(column, column[rows]) / n)
    names, code = np.unique(who[rows], return_inverse=True)
    cell = _codes(what[rows], when[rows], asked[rows])
    edges = np.stack(np.divmod(np.unique(cell * len(names) + code), len(names)), axis=1)
    size = np.bincount(cell)
    log_of_cell = np.zeros(len(size))
    log_of_cell[cell] = log_p
    edges = edges[(size[edges[:, 0]] > 1) & (size[edges[:, 0]] <= _HEAVY)]
    first, second, shared = _pairs(edges)
    if not len(first):
        return ()
    votes = _count(who, names)
    each = -(log_of_cell[shared] + np.log(np.maximum(votes[first], votes[second])))
    key, place = np.unique(first * len(names) + second, return_inverse=True)
    score = np.bincount(place, weights=np.maximum(each, 0.0)).astype(np.float64)
    linked = score >= log(_distinct(who) ** 2 / 2 / ALPHA)
    found = _groups(key[linked] // len(names), key[linked] % len(names), score[linked], edges, size)
    return tuple(replace(group, voters=tuple(int(names[code]) for code in group.voters)) for group in found)


def lockstep_findings(
    groups: tuple[LockstepGroup, ...], voters: int, label: Callable[[int], str]
) -> tuple[Finding, ...]:
    """Return a finding for each group. The subject of a finding is the group's first voter by label.

    Args:
        groups: the groups from `lockstep`.
        voters: number of voters on the board.
        label: takes the integer of a voter, and returns the voter's name.
    """
    findings = []
    for group in groups:
        who = sorted(label(code) for code in group.voters)
        what = (
            f"{len(who)} voters vote in lockstep: {group.cells} times two or more of them voted alike on one pair and "
            "prompt within ten minutes"
        )
        figures = {"voters": who[:_SHOWN], "number": len(who), "cells": group.cells, "density": group.density}
        p = float(np.exp(-group.score)) * max(voters, 2) ** 2 / 2
        findings.append(Finding(AUDIT, "voter", who[0], "in lockstep", "warning", what, min(p, 1.0), figures))
    return tuple(findings)


def _codes(*columns: Integers) -> Int64:
    """Return one code, from 0, for each distinct combination of the columns."""
    result = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        _, codes = np.unique(column, return_inverse=True)
        joined = result * (int(codes.max(initial=0)) + 1) + codes
        _, result = np.unique(joined, return_inverse=True)
    return result.astype(np.int64)


def _shared(*columns: Integers) -> Int64:
    """Return the indices of rows that occur more than once. Rows are compared by a hash, so a few are wrong."""
    mixed = new_large((len(columns[0]),), np.uint64)
    for piece in pieces(len(mixed)):
        mixed[piece] = 0
        for column, odd in zip(columns, _ODD, strict=True):
            mixed[piece] += column[piece].astype(np.uint64) * np.uint64(odd)
    in_order = np.sort(mixed)
    twice = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
    del in_order
    found = [np.zeros(0, dtype=np.int64)]
    for piece in pieces(len(mixed)) if len(twice) else ():
        place = np.minimum(np.searchsorted(twice, mixed[piece]), len(twice) - 1)
        found.append(piece.start + np.flatnonzero(twice[place] == mixed[piece]))
    return np.concatenate(found)


def _count(column: Integers, values: Integers) -> Int64:
    """Return how often each value occurs in a column."""
    in_order = np.sort(column)
    return np.searchsorted(in_order, values, "right") - np.searchsorted(in_order, values, "left")


def _distinct(column: Int64) -> int:
    in_order = np.sort(column)
    return 1 + int((in_order[1:] != in_order[:-1]).sum())


def _pairs(edges: Int64) -> tuple[Int64, Int64, Int64]:
    """Return three arrays: first voter, second voter and cell, for every two voters and each cell that they share.

    Args:
        edges: (cell, voter) rows, sorted by cell, then by voter.
    """
    found = []
    for step in range(1, _HEAVY):
        same = edges[step:, 0] == edges[:-step, 0]
        if not same.any():
            break
        found.append(np.stack([edges[:-step][same, 1], edges[step:][same, 1], edges[step:][same, 0]]))
    if not found:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, empty
    first, second, cell = np.concatenate(found, axis=1)
    return first, second, cell


def _groups(first: Int64, second: Int64, score: Float64, edges: Int64, size: Int64) -> tuple[LockstepGroup, ...]:
    members = np.unique(np.concatenate([first, second]))
    if not len(members):
        return ()
    i, j = np.searchsorted(members, first), np.searchsorted(members, second)
    graph = csr_array((np.ones(len(i), dtype=np.int8), (i, j)), shape=(len(members),) * 2)
    count, label = connected_components(graph, directed=False)
    groups = []
    for part in range(count):
        voters = members[label == part]
        own = edges[np.isin(edges[:, 1], voters)]
        density, kept, cells = _peel(own, size)
        groups.append(LockstepGroup(tuple(kept), cells, density, float(score[label[i] == part].max())))
    return tuple(sorted(groups, key=lambda g: (-g.density, g.voters)))


def _peel(edges: Int64, size: Int64) -> tuple[float, list[int], int]:
    """Search a group for its densest subset, removing one voter after another, least weight of shared votes first.

    Args:
        edges: int64[e, 2], pairs (number of a cell, number of a voter who has a vote in this cell).
        size: number of votes in each cell of the board.

    Returns:
        The density of the subset, its voters, and the number of cells that at least two of these voters share.
    """
    best: tuple[float, list[int], int] = (-1.0, [], 0)
    while True:
        _, place, count = np.unique(edges[:, 0], return_inverse=True, return_counts=True)
        kept = edges[count[place] > 1]
        voters, who = np.unique(kept[:, 1], return_inverse=True)
        if len(voters) < 2:
            return best
        weight = 1 / np.log(size[kept[:, 0]] + 5)
        shared = int((count > 1).sum())
        density = float(weight.sum()) / (len(voters) + shared)
        if density > best[0]:
            best = density, [int(v) for v in voters], shared
        weakest = voters[np.bincount(who, weights=weight).argmin()]
        edges = kept[kept[:, 1] != weakest]
