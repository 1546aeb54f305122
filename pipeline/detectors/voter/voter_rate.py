"""`voter_rate`: detects a voter who votes faster than anybody can read the answers.

Formula: let g be the time in seconds between two votes of a voter. Null hypothesis: g is at least as long, in the
stochastic order, as an exponential time with rate λ = 1/30 (2 votes a minute). Alternative: the rate is ρ = 5 times as
high. The likelihood ratio of a vote is L = ρ e^(−(ρ−1)λg). L falls with g, so L is an e-value for every such g. The
CUSUM is W ← max(W, 0) + ln L. An alert is emitted at e^W ≥ 10⁴, and again whenever e^W has grown by a factor of 100.

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors", theorem 2.4 (average run length).

Blind spot: voters slower than one vote in twelve seconds; a person with many voter ids. The source of the votes states
the times (`cast_at`), in whole seconds. A time on a full minute is ignored, since the source may have rounded it.

False alarms: at most one in 10⁴ votes of a voter who votes twice a minute without a pause, and fewer for a slower
voter. Measured: none among 500,000 voters with 3.65 votes each on average (power law).

>>> import numpy as np
>>> from pipeline.scoring.detector_contracts import VoterVotes
>>> from pipeline.evidence import Reference
>>> board = Reference(1, np.arange(2), np.zeros(2), np.zeros((2, 2)), 0.3, (3.0, 7.0))
>>> zeros, times = np.zeros(40, int), np.arange(1, 41) * 3_000_000  # a vote every three seconds
>>> script = VoterVotes(zeros, np.array([7]), 0, np.arange(40), times, zeros, zeros + 1, zeros.astype(np.int8), zeros)
>>> _, alerts = VoterRate().observe(script, [None], board)
>>> alerts[0].offset, alerts[0].severity, alerts[0].direction
(9, 'warning', 'faster than anybody reads')
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evidence import Reference, group_starts
from pipeline.evidence.alert_policy import new_levels
from pipeline.evidence.cusums import CUSUM_LEVELS, CUSUM_UNIT, cusums
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import AlertSignal, Severity
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.packing import read_records, split_records
from pipeline.vocabulary.time import MINUTE, SECOND

_PACE, _RATIO = 1 / 30.0, 5.0
_MAX_GAP = 100_000  # seconds; beyond a day a longer gap adds no information
_DIRECTION = "faster than anybody reads"
# The emitted level, the second of the last vote (0: none yet), W.
_STATE = np.dtype([("emitted", "u1"), ("last", "<u4"), ("w", "<u4")])
_NEW_VOTER = bytes(_STATE.itemsize)


@dataclass(frozen=True)
class VoterRate:
    """Detects a voter who votes faster than anybody can read the answers.

    The module docstring has formula, source, blind spot and false-alarm rate.
    """

    name = "voter_rate"
    tag = 2

    def observe(
        self,
        votes: VoterVotes,
        prior: Sequence[bytes | None],
        reference: Reference,
        earlier: Callable[[int], Reference] | None = None,  # noqa: ARG002  # no state refers to a snapshot
    ) -> tuple[list[bytes], list[AlertSignal]]:
        """Compute the states of voters after their new votes, and the alerts about fast voters.

        Votes on a model that the snapshot lacks are ignored. Votes whose time is a full minute are also ignored,
        because the time may have been rounded. Cost: a few vector operations per vote.

        Args:
            votes: new votes of v voters.
            prior: the packed states of the v voters before these votes, in the order of `votes.names`; None for a new
                voter.
            reference: the reference of the snapshot in force.
            earlier: not used, since no state refers to a snapshot.

        Returns:
            Two values: the v new states, in the order of `votes.names`; and the alerts, in order of offset.
        """
        states = read_records(_STATE, [_NEW_VOTER if s is None else s for s in prior]).copy()
        known = reference.has_both(votes.model_a, votes.model_b)
        rows = np.flatnonzero(known & (votes.at > 0) & (votes.at % MINUTE != 0))
        voter, second = votes.voter[rows], votes.at[rows] // SECOND
        before = np.concatenate([second[:1], second[:-1]])
        first = group_starts(voter)
        before[first] = states["last"][voter[first]]
        # Rounding to seconds may hide up to one second: the longer gap is assumed.
        gap = np.minimum(np.abs(second - before) + 1, _MAX_GAP)
        step = np.floor((np.log(_RATIO) - (_RATIO - 1) * _PACE * gap) / CUSUM_UNIT).astype(np.int64)
        step[before == 0] = 0
        w = cusums(step, voter, states["w"].astype(np.int64))
        alerts = self._alerts(votes, rows, voter, w, gap, states)
        last = np.append(first[1:], True)[: len(voter)]
        states["last"][voter[last]] = second[last]
        states["w"][voter[last]] = np.clip(w[last], 0, np.iinfo(np.uint32).max)
        return split_records(states), alerts

    def _alerts(
        self, votes: VoterVotes, rows: Int64, voter: Int64, w: Int64, gap: Int64, states: np.ndarray
    ) -> list[AlertSignal]:
        level = np.searchsorted(CUSUM_LEVELS, w, side="right")
        alerts = []
        for i in new_levels(level, voter, states["emitted"]):
            row = int(rows[i])
            evidence = {
                "what": f"vote upon vote within seconds, this one {gap[i]} s at most after the one before",
                "proved": True,
            }
            severity: Severity = "critical" if level[i] > 1 else "warning"
            e_value = float(np.exp(w[i] * CUSUM_UNIT))
            alerts.append(votes.alert(row, self.name, _DIRECTION, severity, e_value, int(level[i]), evidence))
        return sorted(alerts, key=lambda alert: alert.offset)
