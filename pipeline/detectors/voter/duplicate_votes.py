"""`duplicate_votes`: detects a voter who votes on the same two models under the same prompt, again and again.

Formula: a vote is a repeat if one of the voter's last four votes has the same pair of models and the same prompt. Null
hypothesis: at most one vote in 100 is a repeat, by a double click or a retry. Alternative: half of the votes are
repeats. So the likelihood ratio L is 0.5/0.01 for a repeat and 0.5/0.99 for any other vote. The CUSUM is
W ← max(W, 0) + ln L. An alert is emitted at e^W ≥ 10⁴ (the third repeat in a row), and again whenever e^W has grown by
a factor of 100. The worker emits another alert under the same name, when a vote's id returns with different content
(`pipeline.stream.deduplication`).

Source: Shin, Ramdas & Rinaldo 2024, "E-detectors", theorem 2.4; repeating a prompt to identify models, Huang et al.
2025, "Exploring and mitigating adversarial manipulation of voting-based leaderboards".

Blind spot: votes without a hash of the prompt; prompts that differ in a letter; a rotation of more than four prompts;
many voters with one prompt (`cohort_bias` finds them). A combination of pair and prompt is compared by a 16-bit hash,
so two different combinations are taken as equal with probability 1/65,536.

False alarms: at most one in 10⁴ votes of a voter who retries one vote in 100. Measured: none among 500,000 voters with
3.65 votes each on average (power law). In these votes, 7.3% of the prompts repeat another voter's prompt.

>>> import numpy as np
>>> from pipeline.scoring.detector_contracts import VoterVotes
>>> from pipeline.evidence import Reference
>>> board = Reference(1, np.arange(2), np.zeros(2), np.zeros((2, 2)), 0.3, (3.0, 7.0))
>>> zeros, n = np.zeros(20, int), np.arange(20)
>>> repeats = VoterVotes(zeros, np.array([7]), 0, n, n, zeros, zeros + 1, zeros.astype(np.int8), zeros + 99)
>>> _, alerts = DuplicateVotes().observe(repeats, [None], board)
>>> alerts[0].offset, alerts[0].severity, alerts[0].direction
(3, 'warning', 'same pair and prompt, again and again')
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evidence import Reference, group_starts
from pipeline.evidence.alert_policy import new_levels
from pipeline.evidence.cusums import CUSUM_LEVELS, CUSUM_UNIT, cusums
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import AlertSignal, Severity
from pipeline.vocabulary.arrays import Bool, Int64
from pipeline.vocabulary.packing import read_records

REMEMBERED = 4
"""Number of the voter's earlier votes with which a vote is compared. The state keeps two bytes for each of them."""

_REPEAT, _OTHER = (int(np.floor(np.log(ratio) / CUSUM_UNIT)) for ratio in (0.5 / 0.01, 0.5 / 0.99))
_DIRECTION = "same pair and prompt, again and again"
# A state: one byte for the emitted level, with this bit if W > 0 follows in four bytes; then the remembered marks.
_HAS_EVIDENCE = 0x80


@dataclass(frozen=True)
class DuplicateVotes:
    """Detects a voter who votes on the same two models under the same prompt, again and again.

    The module docstring has formula, source, blind spot and false-alarm rate.
    """

    name = "duplicate_votes"
    tag = 3

    def observe(
        self,
        votes: VoterVotes,
        prior: Sequence[bytes | None],
        reference: Reference,
        earlier: Callable[[int], Reference] | None = None,  # noqa: ARG002  # no state refers to a snapshot
    ) -> tuple[list[bytes], list[AlertSignal]]:
        """Compute the states of voters after their new votes, and the alerts about repeated votes.

        Votes on a model that the snapshot lacks, and votes without a prompt, are ignored. Cost: one sort of the votes.

        Args:
            votes: new votes of v voters.
            prior: the packed states of the v voters before these votes, in the order of `votes.names`; None for a new
                voter.
            reference: the reference of the snapshot in force.
            earlier: not used, since no state refers to a snapshot.

        Returns:
            Two values: the v new states, in the order of `votes.names`; and the alerts, in order of offset.
        """
        emitted, w, old, old_voter = _unpack(prior)
        rows = np.flatnonzero(reference.has_both(votes.model_a, votes.model_b) & (votes.prompt != 0))
        voter = np.concatenate([old_voter, votes.voter[rows]])
        order = np.argsort(voter, kind="stable")  # for each voter the remembered marks, then the new ones
        voter, mark = voter[order], np.concatenate([old, _marks(votes, rows)])[order]
        new = order >= len(old)
        repeat = _is_repeat(voter, mark)[new]
        path = cusums(np.where(repeat, _REPEAT, _OTHER), voter[new], w)
        alerts = self._alerts(votes, rows, path, emitted)
        last = np.append(group_starts(voter[new])[1:], True)[: len(rows)]
        w[voter[new][last]] = np.maximum(path[last], 0)
        return _pack(emitted, w, voter, mark), alerts

    def _alerts(self, votes: VoterVotes, rows: Int64, path: Int64, emitted: Int64) -> list[AlertSignal]:
        level, voter = np.searchsorted(CUSUM_LEVELS, path, side="right"), votes.voter[rows]
        alerts = []
        for i in new_levels(level, voter, emitted):
            row = int(rows[i])
            evidence = {
                "what": "votes on the same two models under the same prompt, again and again",
                "prompt": f"{int(votes.prompt[row]) & 0xFFFFFFFF:08x}",
                "proved": True,
            }
            severity: Severity = "critical" if level[i] > 1 else "warning"
            e_value = float(np.exp(path[i] * CUSUM_UNIT))
            alerts.append(votes.alert(row, self.name, _DIRECTION, severity, e_value, int(level[i]), evidence))
        return sorted(alerts, key=lambda alert: alert.offset)


def _marks(votes: VoterVotes, rows: Int64) -> Int64:
    """Return int64[r], 16 bits for each of the votes `rows`: a hash of the unordered pair of models and the prompt."""
    low = np.minimum(votes.model_a[rows], votes.model_b[rows]).astype(np.uint64)
    high = np.maximum(votes.model_a[rows], votes.model_b[rows]).astype(np.uint64)
    mixed = votes.prompt[rows].astype(np.uint64) ^ (low << np.uint64(32)) ^ high
    # Multiplying by the golden ratio spreads the bits (Knuth, The Art of Computer Programming 3, 6.4).
    return ((mixed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(48)).astype(np.int64)


def _is_repeat(voter: Int64, mark: Int64) -> Bool:
    """Return bool[n], whether each mark equals one of the same voter's last REMEMBERED marks before it."""
    place = np.arange(len(mark))
    order = np.lexsort((place, mark, voter))
    same = (voter[order][1:] == voter[order][:-1]) & (mark[order][1:] == mark[order][:-1])
    near = np.diff(place[order]) <= REMEMBERED
    found = np.zeros(len(mark), dtype=np.bool_)
    found[order[1:]] = same & near
    return found


def _unpack(prior: Sequence[bytes | None]) -> tuple[Int64, Int64, Int64, Int64]:
    """Return four arrays: each voter's emitted level; each voter's CUSUM W; the marks; and the voter of each mark.

    A mark is a remembered hash. The marks of a voter come together, the oldest first.
    """
    known = [b"\0" if state is None else state for state in prior]
    heads = np.array([state[0] for state in known], dtype=np.int64)
    has = heads >= _HAS_EVIDENCE
    w = np.zeros(len(known), dtype=np.int64)
    rows = np.flatnonzero(has).tolist()
    w[rows] = read_records("<u4", [known[i][1:5] for i in rows])
    tails = [state[5 if more else 1 :] for state, more in zip(known, has.tolist(), strict=True)]
    voter = np.repeat(np.arange(len(known)), [len(tail) // 2 for tail in tails])
    return heads & ~_HAS_EVIDENCE, w, read_records("<u2", tails).astype(np.int64), voter


def _pack(emitted: Int64, w: Int64, voter: Int64, mark: Int64) -> list[bytes]:
    """Pack the states of v voters, each with the last REMEMBERED marks of the voter.

    Args:
        emitted: int64[v], highest emitted level.
        w: int64[v], the CUSUM statistic, at least 0, in units of 2⁻²⁰ nats.
        voter: int64[m], the voter of each mark, ascending.
        mark: int64[m], the marks (`_marks`), the oldest of a voter first.
    """
    count = np.bincount(voter, minlength=len(emitted))
    ends = np.cumsum(count)
    raw = mark.astype("<u2").tobytes()
    kept = np.minimum(count, REMEMBERED)
    heads = (emitted | np.where(w > 0, _HAS_EVIDENCE, 0)).astype(np.uint8).tobytes()
    evidence = np.minimum(w, np.iinfo(np.uint32).max).astype("<u4").tobytes()
    return [
        heads[i : i + 1] + (evidence[4 * i : 4 * i + 4] if more else b"") + raw[2 * (end - some) : 2 * end]
        for i, (more, end, some) in enumerate(zip((w > 0).tolist(), ends.tolist(), kept.tolist(), strict=True))
    ]
