"""`voter_rate`: does one voter vote faster than anybody can read?

Formula: two answers take time. The gap between an honest voter's votes is no shorter, in the stochastic order, than an
exponential one at 2 votes a minute. A vote g seconds after the one before has likelihood ratio L = ρ e^(−(ρ−1)λg),
λ = 1/30, ρ = 5: an e-value for every such gap, as L falls with g. CUSUM, W ← max(W, 0) + ln L; alarm at e^W ≥ 10⁴, and
again at every hundredfold.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors", theorem 2.4 (average run length).

Blind spot: anybody slower than a vote in twelve seconds; a voter with many names. Times are the source's own
(`cast_at`), in whole seconds; a time on the minute may have been rounded to it and says nothing.

False alarms: for a voter who votes at 2 a minute without ever pausing at most one in 10⁴ votes, for anybody slower
fewer. Measured: none among 500,000 voters of the power law, 3.65 votes each.

>>> import numpy as np
>>> from pipeline.scoring.detector_contracts import VoterVotes
>>> from pipeline.evidence import Reference
>>> board = Reference(1, np.arange(2), np.zeros(2), np.zeros((2, 2)), 0.3, (3.0, 7.0))
>>> one, times = np.zeros(40, int), np.arange(1, 41) * 3_000_000  # a vote every three seconds
>>> script = VoterVotes(one, np.array([7]), 0, np.arange(40), times, one, one + 1, one.astype(np.int8), one)
>>> _, raised = VoterRate().observe(script, [None], board)
>>> raised[0].offset, raised[0].severity, raised[0].direction
(9, 'warning', 'faster than anybody reads')
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evidence import Reference, group_starts
from pipeline.evidence.alert_policy import new_levels
from pipeline.evidence.cusums import cusums
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import AlertSignal, Severity
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.time import MINUTE, SECOND

_PACE, _RATIO = 1 / 30.0, 5.0
# ln M is kept in 2⁻¹⁰ nats, so that four bytes hold it for a million votes.
_UNIT = 2.0**-10
_LEVELS = np.array([int(np.ceil(np.log(level) / _UNIT)) for level in (1e4, 1e6, 1e8, 1e10)])
_LONGEST = 100_000  # seconds; after a day a longer gap says no more
_DIRECTION = "faster than anybody reads"
# Level told, second of the last vote (0: none yet), ln M.
_STATE = np.dtype([("told", "u1"), ("last", "<u4"), ("w", "<u4")])
_BLANK = bytes(_STATE.itemsize)


@dataclass(frozen=True)
class VoterRate:
    """The detector; see the module for formula, source, blind spot and false-alarm rate."""

    name = "voter_rate"
    tag = 2

    def observe(
        self,
        votes: VoterVotes,
        prior: Sequence[bytes | None],
        reference: Reference,
        earlier: Callable[[int], Reference] | None = None,  # noqa: ARG002  # no state speaks of a snapshot
    ) -> tuple[list[bytes], list[AlertSignal]]:
        """See `VoterDetector`. Cost: a few vector operations a vote."""
        states = np.frombuffer(b"".join([_BLANK if s is None else s for s in prior]), dtype=_STATE).copy()
        known = (reference.index_of(votes.model_a) >= 0) & (reference.index_of(votes.model_b) >= 0)
        rows = np.flatnonzero(known & (votes.at > 0) & (votes.at % MINUTE != 0))
        voter, second = votes.voter[rows], votes.at[rows] // SECOND
        before = np.concatenate([second[:1], second[:-1]])
        first = group_starts(voter)
        before[first] = states["last"][voter[first]]
        # Whole seconds hide up to one: the gap is taken for the longer one.
        gap = np.minimum(np.abs(second - before) + 1, _LONGEST)
        step = np.floor((np.log(_RATIO) - (_RATIO - 1) * _PACE * gap) / _UNIT).astype(np.int64)
        step[before == 0] = 0
        w = cusums(step, voter, states["w"].astype(np.int64))
        raised = self._raise(votes, rows, voter, w, gap, states)
        last = np.append(first[1:], True)[: len(voter)]
        states["last"][voter[last]] = second[last]
        states["w"][voter[last]] = np.clip(w[last], 0, np.iinfo(np.uint32).max)
        packed, size = states.tobytes(), _STATE.itemsize
        return [packed[size * i : size * (i + 1)] for i in range(len(states))], raised

    def _raise(
        self, votes: VoterVotes, rows: Int64, voter: Int64, w: Int64, gap: Int64, states: np.ndarray
    ) -> list[AlertSignal]:
        level = np.searchsorted(_LEVELS, w, side="right")
        raised = []
        for i in new_levels(level, voter, states["told"]):
            row = int(rows[i])
            evidence = {
                "what": f"vote upon vote within seconds, this one {gap[i]} s at most after the one before",
                "proved": True,
            }
            severity: Severity = "critical" if level[i] > 1 else "warning"
            e_value = float(np.exp(w[i] * _UNIT))
            raised.append(votes.alert(row, self.name, _DIRECTION, severity, e_value, int(level[i]), evidence))
        return sorted(raised, key=lambda r: r.offset)
