"""`voter_bias`: does one voter's choice of winners differ from what an honest voter would choose?

Formula: E = Σ_k w_k Π_t LR_k,t, the average over alternatives of their likelihood ratio against the
worst honest voter in the band (`pipeline.evidence.outcomes`). Six tenths of the weight are on targets: the
r-th model that gets four of the voter's votes has 1/(r(r+1)) of it, over "promotes" (⅔) and "demotes" and
three sizes δ. An attacker's target gets there first, and pays least for being one of many. The rest is on
always-left, always-right and against the rating. The weights follow from which battles the voter voted on,
never from how, and sum to at most 1; so E is an e-process, P(ever ≥ 1/α) ≤ α (Ville 1939), for every
voter in the band who does not choose the next battle by the last outcomes. Of a target two things are asked
on each of its battles: was it a tie, beside how often this voter ties elsewhere; and if not, did it win. A voter
is in the band when the logit of "m wins, if somebody does" is within η, and two standard errors of the pair, of
the board's, and its ties on m are no rarer than its ties elsewhere, which are drawn from the voters' own (a beta
distribution, estimated). η is 0.25 for the first 30 votes on the model that the voter got to first, 0.3 up to the
90th, and wider beyond and for every other model (0.5 for one side, 0.71 against the rating): tastes of sd 0.5 lie
outside now and then, and only many votes tell so.

False alarms outside the band, measured (taste sd 0.5 for each model, α = 1%, `integrity bench evidence`): none
among 1,000 voters of 400 votes on 100 models; with ties that are rarer between unequal models, and rarer on some
models than on others, 0.7% of 300 voters of 1,500 votes on 30 models, 0.3% of 1,000 of 600 on ten, 0.2% and 0.8%
of 1,000 of 400 on four and on two; 0.4% of 1,000 who saw one new model in every fifth battle and whose readiness
to tie has sd 1.

*Uniform random clicking* is an alert of its own (direction `random`), on decisive votes and, beside
them, on the share of ties. It has next to no band; its error rate is measured and not proved (1.0% of 3,000
honest voters of 400 votes, 0.6% of 1,500 on another board), and so it is never more than a warning.

Source: mixture likelihood ratio e-processes (Ramdas et al. 2023); the alternatives are the attackers
of Huang et al. 2025, "Exploring and mitigating adversarial manipulation of voting-based leaderboards".

Blind spot: a voter who stays within the band and ties as often as elsewhere; one at half strength, whose target
wins 1.4 logits more than it should, is 2.7 standard deviations of honest taste away, and is found by its missing
ties: seven of ten within 80 votes on the target; many voters with a few votes each (that is a cohort's business);
votes before the first snapshot, and models that it lacks (LR = 1).
Rounding is downward throughout. A late vote counts as evidence; a quarantined one does not.

Cost: the exact e-value is computed only when it may have reached the next level. No vote multiplies it by more
than the largest likelihood ratio among the alternatives, so a running product of those is a bound on it (a few
vector operations a vote); when the bound reaches the level, the pending votes are folded and the bound starts
again from the exact value. The alerts are the same as if every vote had been folded.

    voter_bias_counted.py   every vote: running sums, and the bound
    voter_bias_exact.py     the voters whose bound reached a level: when they are folded, what they reach
    voter_bias_path.py      the exact e-value after each of their votes
    voter_bias_targets.py   the models that a voter has met, and their ranks
    voter_bias_state.py     what is remembered of a voter, as bytes

>>> import numpy as np
>>> from pipeline.scoring.detector_contracts import VoterVotes
>>> from pipeline.evidence import Reference
>>> board = Reference(1, np.arange(2), np.zeros(2), np.zeros((2, 2)), 0.3, (3.0, 7.0))
>>> always = VoterVotes(np.zeros(40, int), np.array([7]), 0, np.arange(40), np.zeros(40, int),
...                     np.tile([0, 1], 20), np.tile([1, 0], 20), np.tile([0, 1], 20).astype(np.int8),
...                     np.zeros(40, int))
>>> _, raised = VoterBias().observe(always, [None], board)
>>> first = raised[0]
>>> first.offset, first.direction, first.severity, first.evidence["likeliest"][0]["what"]
(13, 'biased', 'warning', 'demotes')
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.detectors.voter.voter_bias.counting import BARS, LEVEL_UNITS, Counted
from pipeline.detectors.voter.voter_bias.exact import Earlier, Exact
from pipeline.detectors.voter.voter_bias.state import (
    COMPONENTS_HEAD,
    HISTORY_HEAD,
    LONGEST_PENDING,
    PENDING_SIZE,
    Heads,
    marker,
    pending_bytes,
    unpack,
)
from pipeline.evidence import Reference, from_e_units, to_e_units
from pipeline.evidence.alert_policy import new_levels
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import CRITICAL, AlertSignal
from pipeline.vocabulary.arrays import Bool, Int64

_AT_RANDOM = {"what": "clicks at random", "share": 1.0}


@dataclass(frozen=True)
class VoterBias:
    """The detector; see the module for formula, source, blind spot, false-alarm rate and cost."""

    name = "voter_bias"
    tag = 1

    def observe(
        self,
        votes: VoterVotes,
        prior: Sequence[bytes | None],
        reference: Reference,
        earlier: Earlier | None = None,
    ) -> tuple[list[bytes], list[AlertSignal]]:
        """See `VoterDetector`."""
        heads = Heads.parse(prior)
        counted = Counted.of(votes, heads, reference)
        raised = self._raise_random(votes, heads, counted, reference.sequence)
        marked = (heads.pending > 0) & (heads.snapshot != reference.sequence) & (counted.new > 0)
        pending = heads.pending + marked + counted.new
        near = pending > LONGEST_PENDING
        near[counted.voter[(counted.bound >= BARS[heads.told[counted.voter, 0]]) | counted.large]] = True
        exact = Exact.of(np.flatnonzero(near), prior, heads, counted, marked, reference, earlier)
        raised += [self._describe_biased(votes, counted, exact, *said, reference.sequence) for said in exact.raised]
        before = heads.snapshot.copy()
        counted.close(heads, pending, reference.sequence)
        exact.close(heads)
        return _states(prior, heads, counted, marked, before, exact), sorted(
            raised, key=lambda r: (r.offset, r.direction)
        )

    def _raise_random(self, votes: VoterVotes, heads: Heads, counted: Counted, snapshot: int) -> list[AlertSignal]:
        """The votes at which "clicks at random" first reached each level that was not told before."""
        e = to_e_units(0.5, counted.uniform) + to_e_units(0.5, counted.uniform + counted.tie)
        level = np.searchsorted(LEVEL_UNITS, e, side="right")
        return [
            self._describe(votes, counted, i, int(level[i]), int(e[i]), [dict(_AT_RANDOM)], snapshot)
            for i in new_levels(level, counted.voter, heads.told[:, 1])
        ]

    def _describe_biased(
        self, votes: VoterVotes, counted: Counted, exact: Exact, i: int, level: int, snapshot: int
    ) -> AlertSignal:
        return self._describe(
            votes,
            counted,
            int(exact.row[i]),
            level,
            int(exact.path.e[i]),
            exact.path.likeliest(i),
            snapshot,
            proved=True,
        )

    def _describe(
        self,
        votes: VoterVotes,
        counted: Counted,
        i: int,
        level: int,
        e: int,
        likeliest: list[dict[str, Any]],
        snapshot: int,
        proved: bool = False,
    ) -> AlertSignal:
        e_value = from_e_units(e)
        return votes.alert(
            int(counted.rows[i]),
            self.name,
            "biased" if proved else "random",
            "critical" if proved and e_value >= CRITICAL else "warning",
            e_value,
            level,
            {
                "votes": int(counted.seen[i]),
                "ties": int(counted.ties[i]),
                "snapshot": snapshot,
                "proved": proved,
                "likeliest": likeliest,
            },
        )


def _states(
    prior: Sequence[bytes | None],
    heads: Heads,
    counted: Counted,
    marked: Bool,
    before: Int64,
    exact: Exact,
) -> list[bytes]:
    """The state of each voter of the call: head, what is folded, pending votes."""
    entries = pending_bytes(counted.model_a, counted.model_b, counted.outcome)
    ends = (np.cumsum(counted.new) * PENDING_SIZE).tolist()
    begins = [0, *ends][: len(ends)]
    short = heads.histories()
    states = [
        short[HISTORY_HEAD * i : HISTORY_HEAD * (i + 1)] + (b"" if state is None else state[HISTORY_HEAD:])
        + entries[begin:end]
        for i, (state, begin, end) in enumerate(zip(prior, begins, ends, strict=True))
    ]  # fmt: skip
    if not (exact.folded or marked.any() or heads.folded.any()):
        return states
    met = np.zeros(len(states), dtype=np.int64)
    known = np.flatnonzero(heads.folded).tolist()
    met[known] = unpack([prior[i] for i in known])[0].met
    for i, (_, count, _) in exact.folded.items():
        met[i] = count
    long = heads.components(met)
    for i in sorted({*known, *exact.folded, *np.flatnonzero(marked).tolist()}):
        state = prior[i] or b""
        head = long[COMPONENTS_HEAD * i : COMPONENTS_HEAD * (i + 1)]
        between = marker(int(before[i])) if marked[i] else b""
        new = entries[begins[i] : ends[i]]
        if i in exact.folded:
            part, _, pending = exact.folded[i]
            states[i] = head + part + new[len(new) - PENDING_SIZE * pending :]
        elif heads.folded[i]:
            states[i] = head + state[COMPONENTS_HEAD:] + between + new
        else:
            states[i] = short[HISTORY_HEAD * i : HISTORY_HEAD * (i + 1)] + state[HISTORY_HEAD:] + between + new
    return states
