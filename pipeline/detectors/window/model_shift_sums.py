"""Sums the results of models over slots of time and kinds of voters, for `model_shift`.

A slot lasts at least six hours and until the board has 1,500 votes, so that a board with few votes has long slots. The
newest 32 closed slots and the open one are kept; what is older is in one sum. A result is counted as two numbers:

    excess        n (w − p̄), summed over cells of votes. A cell is a model, a stratum and a window; n is the number of
                  its decided evaluated votes, w the share of them that the model won, and p̄ the mean chance of a win
                  by the snapshot in force, over the cell's evaluated votes, ties included
    information   Σ n p̄(1 − p̄) over the same cells

If the logit of a model is δ higher than in the snapshot, its excess is about δ times its information. The two numbers
are integers in units of 2⁻¹⁰. They are summed for each of nineteen strata, which are kinds of voters: three by the age
of the account, and sixteen groups of networks by the hash of the network's name. Each vote is in one stratum by age,
and in one by network if the vote states a network.

Approximations: n p̄(1 − p̄) is Σ p(1 − p) plus n times the variance of p within the cell. So the information is too
large, and the estimated change of the logit is too small. The error grows with the differences in strength among the
model's opponents. p̄ is the mean over all evaluated votes, not over the decided ones.

A vote that no snapshot evaluated has no predicted chance, so the vote cannot show a change. It is counted in no excess,
stratum or slot. But later snapshots are fitted on such votes. Each decided one therefore adds 0.15 (a low value of p(1
− p)) to the information of the votes before the first slot.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.evidence import alert_policy
from pipeline.evidence.keyed_state import KEY, KeyedColumns, add_keys
from pipeline.scoring.window import COHORTS, MEASURES, GroupedModelCounts, Window
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.time import HOUR

SLOTS = 32
"""Number of closed slots of time whose sums are kept."""

AGES, NETWORK_GROUPS = len(COHORTS), 16
STRATA = AGES + NETWORK_GROUPS
UNIT = 2.0**-10
"""Excess and information are stored as integers, as multiples of this number."""

_SLOT, _LEAST_VOTES = 6 * HOUR, 1_500
# p(1 − p) of a vote that no snapshot evaluated, whose opponent may be much stronger or weaker.
_UNEVALUATED = 0.15
_WON, _LOST = MEASURES.index("evaluated_wins"), MEASURES.index("evaluated_losses")
_EXPECTED_WON, _EXPECTED_LOST = MEASURES.index("expected_wins"), MEASURES.index("expected_losses")
_ALL_WON, _ALL_LOST = MEASURES.index("wins"), MEASURES.index("losses")

# The two columns of `told`, `level` and `quiet` are "better" and "worse".
_NEW_KEY: dict[str, Any] = {
    **{name: np.zeros(2, dtype=np.int64) for name in alert_policy.NO_ALERT},
    "excess": np.zeros((SLOTS, STRATA), dtype=np.int32),
    "information": np.zeros((SLOTS, STRATA), dtype=np.int32),
    "decided": np.zeros((SLOTS, 2), dtype=np.int32),
    "excess_now": np.zeros(STRATA, dtype=np.int64),
    "information_now": np.zeros(STRATA, dtype=np.int64),
    "decided_now": np.zeros(2, dtype=np.int64),
    "excess_before": np.int64(0),
    "information_before": np.int64(0),
}
_SLOTTED = ("excess", "information", "decided")
_BY_STRATUM = ("excess", "information")
_OF_BOARD = ("slots", "slot_votes")


@dataclass(frozen=True)
class ShiftSums:
    """The sums of votes on m models by slot of time.

    Attributes:
        columns: name → array whose first axis is the m models. `columns[KEY]` has the keys of the models. The other
            arrays have the sums by slot, and the state of each model's alerts.
        starts: int64[SLOTS + 1], start of each slot in microseconds since 1970 UTC; −1 for a slot that is not used yet.
            The last slot is the open slot.
        votes: number of votes of the board in the open slot.
    """

    columns: KeyedColumns
    starts: Int64
    votes: int

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "ShiftSums":
        """Return the sums that `to_state` stored, also if an older version with four groups of networks stored them."""
        columns = {name: _in_groups(name, values) for name, values in state.items() if name not in _OF_BOARD}
        starts = state.get("slots", np.full(SLOTS + 1, -1, dtype=np.int64))
        return cls(columns, starts, int(state.get("slot_votes", np.zeros(1))[0]))

    def to_state(self) -> dict[str, Any]:
        """Return the state of the detector as named arrays."""
        return {**self.columns, "slots": self.starts, "slot_votes": np.array([self.votes], dtype=np.int64)}

    def add(self, window: Window) -> "ShiftSums":
        """Return new sums that also have the votes of a window."""
        begun = self if self.starts[-1] >= 0 else ShiftSums(self.columns, np.append(self.starts[:-1], window.start), 0)
        if window.start - begun.starts[-1] >= _SLOT and begun.votes >= _LEAST_VOTES:
            begun = begun._closed(window.start)
        columns, rows = add_keys(begun.columns, window.models, _NEW_KEY)
        columns = dict(columns)
        place = dict(zip(window.models, rows.tolist(), strict=True))
        for name, more in _counted(window, place, len(columns[KEY])).items():
            columns[name] = columns[name] + more
        return ShiftSums(columns, begun.starts, begun.votes + window.accepted + window.late)

    def by_slot(self, name: str) -> Int64:
        """Return one kind of sum for each of the m models and each slot.

        A slot is a period of several windows. The last one is open: windows are still added to it.

        Args:
            name: "excess", "information" or "decided".

        Returns:
            int64[m, SLOTS + 1, c]. For "excess" and "information", c is the number of strata, and the unit is `UNIT`.
            For "decided", c is 2: the number of decided votes, and the number of wins.
        """
        return np.concatenate([self.columns[name], self.columns[f"{name}_now"][:, None]], axis=1, dtype=np.int64)

    def _closed(self, start: int) -> "ShiftSums":
        """Return the sums with a new slot that begins at `start`; the oldest slot joins the sum of what is older."""
        if KEY not in self.columns:
            return ShiftSums(self.columns, np.append(self.starts[1:], start), 0)
        columns = dict(self.columns)
        for name in ("excess", "information"):
            columns[f"{name}_before"] = columns[f"{name}_before"] + columns[name][:, 0, :AGES].sum(
                axis=1, dtype=np.int64
            )
        for name in _SLOTTED:
            closed = columns[f"{name}_now"][:, None].astype(np.int32)
            columns[name] = np.concatenate([columns[name][:, 1:], closed], axis=1)
            columns[f"{name}_now"] = np.zeros_like(columns[f"{name}_now"])
        return ShiftSums(columns, np.append(self.starts[1:], start), 0)


def _counted(window: Window, place: Mapping[str, int], models: int) -> dict[str, Int64]:
    """Return what a window adds to columns of the state: name of the column → int64 with one row for each model."""
    excess, information = np.zeros((models, STRATA), dtype=np.int64), np.zeros((models, STRATA), dtype=np.int64)
    ages = [COHORTS.index(group) for group in window.cohorts.group]
    networks = [AGES + _network_group(group) for group in window.networks.group]
    for cells, strata in ((window.cohorts, ages), (window.networks, networks)):
        where = [place[name] for name in cells.model], strata
        more, known = _results(cells)
        np.add.at(excess, where, np.rint(more / UNIT).astype(np.int64))
        np.add.at(information, where, np.rint(known / UNIT).astype(np.int64))
    decided, unevaluated = np.zeros((models, 2), dtype=np.int64), np.zeros(models, dtype=np.int64)
    rows = [place[name] for name in window.models]
    totals = window.totals
    of_evaluated = totals[:, _WON] + totals[:, _LOST]
    decided[rows] = np.column_stack([of_evaluated, totals[:, _WON]])
    others = totals[:, _ALL_WON] + totals[:, _ALL_LOST] - of_evaluated
    unevaluated[rows] = np.rint(others * (_UNEVALUATED / UNIT)).astype(np.int64)
    return {
        "excess_now": excess,
        "information_now": information,
        "decided_now": decided,
        "information_before": unevaluated,
    }


def _results(cells: GroupedModelCounts) -> tuple[Float64, Float64]:
    """Return the excess and the information (module docstring) of each of r cells, float64[r] each, in votes."""
    won, lost, more, less = (cells.counts[:, i] for i in (_WON, _LOST, _EXPECTED_WON, _EXPECTED_LOST))
    decided, expected = won + lost, more + less
    chance = np.divide(more, expected, out=np.full(len(won), 0.5), where=expected > 0)
    return won - decided * chance, decided * chance * (1 - chance)


def _in_groups(name: str, values: Any) -> Any:
    """Split the sums of a state with four groups of networks, from an older version, among the groups of today.

    Each new group gets an equal part of the sums of its old group. Other columns are returned unchanged.
    """
    if not name.startswith(_BY_STRATUM) or name.endswith("_before") or values.shape[-1] == STRATA:
        return values
    ages, networks = values[..., :AGES], values[..., AGES:]
    parts = NETWORK_GROUPS // networks.shape[-1]
    # Groups are remainders of one hash: group g of four became g, g + 4, g + 8 and g + 12.
    return np.concatenate([ages, *((networks + part) // parts for part in range(parts))], axis=-1).astype(values.dtype)


@lru_cache(maxsize=100_000)
def _network_group(name: str) -> int:
    return hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % NETWORK_GROUPS
