"""Computes what `cohort_bias` expects of honest cohorts: the share of wins of a model, and the share of ties.

A cohort is all new accounts, the voters of one network, or the votes under one prompt. The expected share of wins comes
from the votes of other voters on the same model (the comparison votes). The expected share of ties comes from the
cohort's votes on other models. An evaluated vote is one whose two models are both in the snapshot in force.

Two states are kept. `base` has a row for each model. Its column `all` has five sums: evaluated votes, wins, losses,
expected wins and expected losses. Its column `others` has the same sums without new accounts. `groups` has a row for
each cohort, with the number of its evaluated votes and of its ties, over all models. All sums lose half of their weight
in a fortnight.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit

from pipeline.evidence import EXPECTED_UNIT
from pipeline.evidence.keyed_state import KEY, KeyedColumns, add_keys, take_rows
from pipeline.scoring.window import MEASURES, GroupedModelCounts, Window
from pipeline.vocabulary.arrays import Float64, Int64

N, WON, LOST, EXPECTED_WON, EXPECTED_LOST = range(5)
"""Columns of a table of cells: evaluated votes, wins, losses, expected wins and losses by the snapshot in force."""

_COLUMNS = [
    MEASURES.index(name)
    for name in ("evaluated", "evaluated_wins", "evaluated_losses", "expected_wins", "expected_losses")
]
_UNIT = np.array([1.0, 1.0, 1.0, EXPECTED_UNIT, EXPECTED_UNIT])
_NEW_MODEL = {"all": np.zeros(5), "others": np.zeros(5)}
_NEW_GROUP = {"votes": 0.0, "ties": 0.0}
KEPT = 0.5 ** (1 / (14 * 288))
"""Factor by which every sum is multiplied in each window, so that a sum loses half of its weight in a fortnight."""
# A baseline begins with 20 votes as expected, the tie share of a cohort with 30 votes as all others tie.
_PRIOR, _TIE_PRIOR = 20.0, 30.0
# Votes of a voter hang together: a share of ties has the variance of half as many votes.
_TOGETHER = 2.0
_MAX_GROUPS = 1_000


def table_of(cells: GroupedModelCounts) -> Float64:
    """Return float64[r, 5], the counts of evaluated votes in each row of `cells`.

    The columns are N, WON, LOST, EXPECTED_WON and EXPECTED_LOST, in votes.

    Args:
        cells: r rows, one for each cohort and model that have votes in a window.
    """
    return np.asarray(cells.counts[:, _COLUMNS] * _UNIT)


def swapped(table: Float64) -> Float64:
    """Return a table of counts (`table_of`), float64[r, 5], with wins and losses exchanged.

    The exchange turns a test for "promoted" into a test for "demoted".
    """
    return table[:, [N, LOST, WON, EXPECTED_LOST, EXPECTED_WON]]


def decided_share(table: Float64) -> Float64:
    """Return float64[r], an upper bound of the expected share of wins in each row's decided votes; ½ without votes.

    A row has expected wins and expected losses. Both are sums over votes of chances that were rounded up to units of
    2⁻¹⁰. The bound is the share of the expected wins, after one unit per vote is subtracted from the expected losses.
    The result is limited to the range from 0.001 to 0.999.

    Args:
        table: float64[r, 5], the counts of evaluated votes in each row (`table_of`).
    """
    won = table[:, EXPECTED_WON]
    total = won + table[:, EXPECTED_LOST] - table[:, N] * EXPECTED_UNIT
    return np.asarray(np.clip(np.divide(won, total, out=np.full(len(table), 0.5), where=total > 0), 0.001, 0.999))


def upper_shift(base: Float64) -> Float64:
    """Return float64[r], by how many logits honest voters may rate each model above the snapshot.

    The number of logits is estimated from the comparison votes, which are the votes of other voters on the model. The
    result is two standard errors above the estimate.

    Args:
        base: float64[r, 5], counts of the comparison votes on each model. For "demoted", wins and losses are exchanged.
    """
    share = decided_share(base)
    decided = base[:, WON] + base[:, LOST] + _PRIOR
    rate = np.clip((base[:, WON] + _PRIOR * share) / decided, 0.001, 0.999)
    return np.asarray(logit(rate) - logit(share) + 2 / np.sqrt(decided * share * (1 - share)))


def tie_share_bounds(
    base: Float64, board: Float64, votes: Float64, ties: Float64, band: float
) -> tuple[Float64, Float64]:
    """Compute the smallest and the largest share of ties that an honest cohort casts on each model.

    In logits, an honest share is the cohort's share of ties on its other votes, plus the difference between the model's
    share and the board's. The bounds are this share minus and plus a margin: the band plus two standard errors.

    Args:
        base: float64[r, 5], the comparison votes on each model.
        board: float64[5], the sum of the comparison votes on all models.
        votes, ties: float64[r], number of the cohort's votes on other models, and of ties among them.
        band: number of logits by which the share of an honest cohort may differ.

    Returns:
        Two arrays float64[r]: the smallest shares and the largest shares.
    """
    overall = float(np.clip(_ties(board[None])[0] / max(board[N], 1), 0.02, 0.9)) if board[N] > 0 else 0.3
    model = np.clip((_ties(base) + _PRIOR * overall) / (base[:, N] + _PRIOR), 0.01, 0.95)
    own = np.clip((ties + _TIE_PRIOR * overall) / (votes + _TIE_PRIOR), 0.01, 0.95)
    variance = 1 / ((base[:, N] + _PRIOR) * model * (1 - model)) + 1 / ((votes + _TIE_PRIOR) * own * (1 - own))
    usual = logit(own) + logit(model) - logit(overall)
    margin = band + 2 * np.sqrt(_TOGETHER * variance)
    return np.asarray(expit(usual - margin)), np.asarray(expit(usual + margin))


def _ties(table: Float64) -> Float64:
    return np.maximum(table[:, N] - table[:, WON] - table[:, LOST], 0)


def add_models(base: KeyedColumns, window: Window) -> tuple[KeyedColumns, Int64]:
    """Add a row to the baseline for each model of the window that has none.

    Returns:
        Two values: the baseline with the added rows; and int64[m], the row of each of the window's models.
    """
    return add_keys(base, window.models, _NEW_MODEL)


def learn(base: KeyedColumns, rows: Int64, window: Window) -> KeyedColumns:
    """Return the baseline after a window: earlier sums lose weight, and the window's counts are added.

    Args:
        base: the baseline, which has a row for each model of the window.
        rows: int64[m], the row of each of the window's models.
        window: the window.
    """
    learned = {name: values * KEPT if name != KEY else values for name, values in base.items()}
    learned["all"][rows] += window.totals[:, _COLUMNS] * _UNIT
    place = dict(zip(window.models, rows.tolist(), strict=True))
    old = [i for i, group in enumerate(window.cohorts.group) if group != "new"]
    where = [place[window.cohorts.model[i]] for i in old]
    np.add.at(learned["others"], where, table_of(window.cohorts)[old])
    return learned


def learn_ties(groups: KeyedColumns, names: Sequence[str], table: Float64) -> KeyedColumns:
    """Return the votes and ties of cohorts after a window. Only the 1,000 cohorts with the most votes are kept.

    Args:
        groups: the votes and ties of cohorts before the window.
        names: the cohort of each row of `table`.
        table: float64[r, 5], the window's counts (`table_of`).
    """
    grown, _ = add_keys(groups, sorted(set(names)), _NEW_GROUP)
    place = {name: i for i, name in enumerate(grown[KEY].tolist())}
    where = [place[name] for name in names]
    grown["votes"], grown["ties"] = grown["votes"] * KEPT, grown["ties"] * KEPT
    np.add.at(grown["votes"], where, table[:, N])
    np.add.at(grown["ties"], where, _ties(table))
    if len(grown["votes"]) <= _MAX_GROUPS:
        return grown
    largest = np.argsort(-grown["votes"], kind="stable")[:_MAX_GROUPS]
    return take_rows(grown, np.sort(largest))


def votes_elsewhere(
    groups: KeyedColumns, names: Sequence[str], own_votes: Float64, own_ties: Float64
) -> tuple[Float64, Float64]:
    """Return how many votes and ties each key's cohort has in earlier windows on models other than the key's model.

    A key is a cohort and a model, with the direction in which the votes may be biased.

    Args:
        groups: the votes and ties of each cohort in earlier windows (`learn_ties`).
        names: the cohort of each of k keys.
        own_votes, own_ties: float64[k], votes and ties of the key's cohort on the key's model. Older votes must have
            lost weight at the same rate as in `groups`.

    Returns:
        Two arrays float64[k]: the votes and the ties; 0 for an unknown cohort.
    """
    place = {name: i for i, name in enumerate(groups[KEY].tolist())} if KEY in groups else {}
    rows = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    known = rows >= 0
    votes, ties = np.zeros(len(rows)), np.zeros(len(rows))
    if known.any():
        votes[known], ties[known] = groups["votes"][rows[known]], groups["ties"][rows[known]]
    votes = np.maximum(votes - own_votes, 0)
    return votes, np.clip(ties - own_ties, 0, votes)
