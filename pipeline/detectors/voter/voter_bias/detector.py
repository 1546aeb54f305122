"""`voter_bias`: detects a voter whose choice of winners differs from an honest voter's choice.

Formula: the evidence has two parts. Each is a mixture E = Σ_k w_k L_k over alternatives k with weights w_k, and L_k is
a likelihood ratio against an honest voter. The alternatives and their weights are:

    promotes a model, demotes a model               60% together
    always left, always right, against the rating   40% together

The *band* compares each vote with the least favourable honest voter in a band (`pipeline.evidence.honest_reference`).
The 60% for alternatives about a model are divided over the models that have a rank. A model gets the next rank when it
has four of the voter's votes. The model of rank r has the share 1/(r(r+1)), of which ⅔ is for "promotes" and ⅓ for
"demotes", each with three sizes δ. Low ranks weigh most, since an attacker's target is among the first models that get
a rank. The sum of the weights is at most one. The weights depend on which battles the voter voted on, but not on
outcomes.
So E is an e-process: P(E ever reaches 1/α) ≤ α (Ville 1939) for every voter in the band who does not choose battles by
earlier outcomes. A voter is in the band if two conditions hold for every model m. First, the logit of a win of m in
decided battles differs from the board's by at most η plus two standard errors of the pair. Second, the voter ties on m
at least as often as on other models. η is twice the board's taste (the standard deviation of honest tastes, in logits)
plus the standard error of this estimate. η is at least 0.1 and at most 0.6, and grows from the 31st vote on a model.
For "always left" and "always right" η is 0.5, and for "against the rating" 0.71. Every alternative compares ties with
the voter's own share of ties.

The *mixture* ("cells", `pipeline.evidence.cells`) compares the voter's counts on each model with an honest voter's. The
honest voter's taste is drawn from the distribution that was estimated for the board, and so are the errors of the
ratings. In the mixture, nine tenths of the 60% are for alternatives about one model, one tenth for alternatives about
all models of one provider. Of the 40%, 15% are for a voter who swaps win and loss, with tastes and errors integrated
out (`pipeline.evidence.swapped_outcomes`). The other 25% are the alternatives of the band: 10% each for one side, 5%
for "against the rating". The mixture also finds a voter who votes "tie" in place of losses. The mixture adapts to the
tastes of the board. So a voter with many votes raises no alert in a crowd with strong tastes, and a weak attacker is
found among experts, who have weak tastes.

A warning opens when the average of both parts reaches 1/α = 100. An alert is critical, and a machine excludes the
voter, when the mixture alone reaches 10⁴. The band is evaluated after every vote. The mixture is evaluated when the
band reaches 100, after every 32nd vote, and after every fourth vote of a voter with an alert.

False alarms: the error rate of the band is proved for voters in the band. The error rate of the mixture is proved for
one evaluation after a fixed number of votes, and measured for all evaluations together. For swapped outcomes it is
measured only, so this alternative alone does not suffice to exclude a voter. The table shows how many of the honest
voters on 20 models got a warning and a critical alert. Their shares of ties differ between voters (logit sd 0.97) and
models (sd 0.12), and their sharpness has sd 0.3. The votes are not from the project's own simulator:

    taste    40,000 voters × 25 votes                  10,000 × 100      2,500 × 400
    0.5      4 / 0                                     1 / 0             0 / 0
    0.75     5 / 0                                     1 / 0             10 / 0
    1.0      5 / 0                                     4 / 0             48 / 0

Of 692 real judges of translations (WMT 2015 and 2016), none is warned. Each judge was evaluated by a reference from
other judges. The votes were drawn twice: a draw takes one random pair from each ranking that a judge made.

Random clicking has an alert of its own (direction `random`), from the decisive votes and the share of ties. Its error
rate is measured, not proved, so this alert is never more than a warning. Measured: 0.6% of these judges.

Source: mixture likelihood ratio e-processes (Ramdas et al. 2023). The alternatives are the attackers of Huang et al.
2025, "Exploring and mitigating adversarial manipulation of voting-based leaderboards".

Blind spot: a voter who stays within the honest tastes of the board; many voters with a few votes each (`cohort_bias`
finds them); votes before the first snapshot (`pipeline.backlog`); models that the snapshot lacks (LR = 1). Example: a
weak attacker raises the target's wins by 1.4 logits. This is 12 standard deviations of the taste of experts, and 1.4
standard deviations in a crowd with taste 1.0.

All rounding is downward. A late vote counts as evidence; a quarantined vote does not.

Cost: the exact e-value against the band is computed only when it may have reached the first level. A vote multiplies
the e-value by at most the largest likelihood ratio among the alternatives. So the running product of these ratios is an
upper bound, which takes a few vector operations per vote. When the bound reaches the level, the exact e-value is
computed from the pending votes. These votes are folded into the sums of the state, and the bound restarts from the
exact value. The alerts are the same as if the exact e-value were computed after every vote. An upper bound of the
mixture is computed first, too.

>>> import numpy as np
>>> from pipeline.scoring.detector_contracts import VoterVotes
>>> from pipeline.evidence import Reference
>>> board = Reference(1, np.arange(2), np.zeros(2), np.zeros((2, 2)), 0.3, (3.0, 7.0))
>>> always = VoterVotes(np.zeros(40, int), np.array([7]), 0, np.arange(40), np.zeros(40, int),
...                     np.tile([0, 1], 20), np.tile([1, 0], 20), np.tile([0, 1], 20).astype(np.int8),
...                     np.zeros(40, int))
>>> _, alerts = VoterBias().observe(always, [None], board)
>>> first = alerts[0]
>>> first.offset, first.direction, first.severity, first.evidence["likeliest"][0]["what"]
(15, 'biased', 'warning', 'promotes')
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.detectors.voter.voter_bias.component_codec import unpack_components, upgrade_states
from pipeline.detectors.voter.voter_bias.exact_evidence import EarlierReference, ExactEvidence
from pipeline.detectors.voter.voter_bias.explanations import explain
from pipeline.detectors.voter.voter_bias.running_evidence import LEVEL_UNITS, RunningEvidence
from pipeline.detectors.voter.voter_bias.state_codec import (
    COMPONENTS_HEAD,
    HISTORY_HEAD,
    MAX_PENDING,
    PENDING_SIZE,
    StateHeads,
    pack_pending,
    snapshot_marker,
)
from pipeline.evidence import Reference, from_e_units, to_e_units
from pipeline.evidence.alert_policy import new_levels
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import CRITICAL, AlertSignal
from pipeline.vocabulary.arrays import Bool, Int64

_RANDOM_CLICKS = {"what": "clicks at random", "share": 1.0}


@dataclass(frozen=True)
class VoterBias:
    """Detects a voter whose choice of winners differs from an honest voter's choice.

    The module docstring has formula, source, blind spot, false-alarm rate and cost.
    """

    name = "voter_bias"
    tag = 1

    def observe(
        self,
        votes: VoterVotes,
        prior: Sequence[bytes | None],
        reference: Reference,
        earlier: EarlierReference | None = None,
    ) -> tuple[list[bytes], list[AlertSignal]]:
        """Compute the states of voters after their new votes, and the alerts about biased or random votes.

        Votes on a model that the snapshot lacks are ignored.

        Args:
            votes: new votes of v voters.
            prior: the packed states of the v voters before these votes, in the order of `votes.names`; None for a new
                voter.
            reference: the reference of the snapshot in force.
            earlier: returns the reference of an earlier snapshot, given its sequence number, for states that refer to
                an earlier snapshot.

        Returns:
            Two values: the v new states, in the order of `votes.names`; and the alerts, in order of offset.
        """
        prior = upgrade_states(prior)
        heads = StateHeads.unpack(prior)
        running = RunningEvidence.compute(votes, heads, reference)
        alerts = self._random_alerts(votes, heads, running, reference.sequence)
        marked = (heads.pending > 0) & (heads.snapshot != reference.sequence) & (running.new > 0)
        pending = heads.pending + marked + running.new
        near = pending > MAX_PENDING
        near[running.voter[running.to_evaluate(heads)]] = True
        exact = ExactEvidence.compute(np.flatnonzero(near), prior, heads, running, marked, reference, earlier)
        alerts += [
            self._biased_alert(votes, running, exact, vote, level, e_value, reference)
            for vote, level, e_value in exact.levels
        ]
        before = heads.snapshot.copy()
        running.update(heads, pending, reference.sequence)
        exact.update(heads)
        states = _states(prior, heads, running, marked, before, exact)
        return states, sorted(alerts, key=lambda alert: (alert.offset, alert.direction))

    def _random_alerts(
        self, votes: VoterVotes, heads: StateHeads, running: RunningEvidence, snapshot: int
    ) -> list[AlertSignal]:
        """Return an alert for each level that the evidence of "clicks at random" newly reached."""
        e = to_e_units(0.5, running.uniform) + to_e_units(0.5, running.uniform + running.tie)
        level = np.searchsorted(LEVEL_UNITS, e, side="right")
        return [
            self._alert(
                votes,
                running,
                i,
                int(level[i]),
                from_e_units(int(e[i])),
                {
                    "snapshot": snapshot,
                    "proved": False,
                    "likeliest": [dict(_RANDOM_CLICKS)],
                },
            )
            for i in new_levels(level, running.voter, heads.emitted[:, 1])
        ]

    def _biased_alert(
        self,
        votes: VoterVotes,
        running: RunningEvidence,
        exact: ExactEvidence,
        vote: int,
        level: int,
        e_value: float,
        reference: Reference,
    ) -> AlertSignal:
        i = int(exact.row[vote])
        random = int(max(running.uniform[i], running.uniform[i] + running.tie[i]))
        return self._alert(
            votes,
            running,
            i,
            level,
            e_value,
            {
                "snapshot": reference.sequence,
                "proved": True,
                "likeliest": explain(exact.mixture, vote, random),
                "e_band": _rounded(from_e_units(int(exact.path.e[vote]))),
                "e_cells": _rounded(exact.mixture.value(vote)),
                "taste": round(reference.taste.sd, 3),
            },
        )

    def _alert(
        self,
        votes: VoterVotes,
        running: RunningEvidence,
        i: int,
        level: int,
        e_value: float,
        evidence: dict[str, Any],
    ) -> AlertSignal:
        proved = bool(evidence["proved"])
        counts = {"votes": int(running.votes_so_far[i]), "ties": int(running.ties_so_far[i])}
        return votes.alert(
            int(running.rows[i]),
            self.name,
            "biased" if proved else "random",
            "critical" if proved and e_value >= CRITICAL else "warning",
            e_value,
            level,
            {**counts, **evidence},
        )


def _rounded(e_value: float) -> float:
    """Return an e-value with four significant digits."""
    return float(f"{e_value:.4g}")


def _states(
    prior: Sequence[bytes | None],
    heads: StateHeads,
    running: RunningEvidence,
    marked: Bool,
    before: Int64,
    exact: ExactEvidence,
) -> list[bytes]:
    """Return the state of each of the v voters of the call: head, folded components, pending votes.

    Args:
        prior: the states before the call; None for a new voter.
        heads: the heads of the new states.
        running: the new votes.
        marked: bool[v], whether a marker must separate older pending votes from the new votes, because another snapshot
            evaluates them.
        before: int64[v], sequence number of the snapshot that the marker names.
        exact: has the components of the voters whose votes were folded in this call.
    """
    entries = pack_pending(running.model_a, running.model_b, running.outcome)
    ends = (np.cumsum(running.new) * PENDING_SIZE).tolist()
    begins = [0, *ends][: len(ends)]
    short = heads.pack_histories()
    states = [
        short[HISTORY_HEAD * i : HISTORY_HEAD * (i + 1)] + (b"" if state is None else state[HISTORY_HEAD:])
        + entries[begin:end]
        for i, (state, begin, end) in enumerate(zip(prior, begins, ends, strict=True))
    ]  # fmt: skip
    if not (exact.folded or marked.any() or heads.folded.any()):
        return states
    met = np.zeros(len(states), dtype=np.int64)
    known = np.flatnonzero(heads.folded).tolist()
    met[known] = unpack_components([prior[i] for i in known])[0].met
    for i, (_, count, _) in exact.folded.items():
        met[i] = count
    long = heads.pack_with_components(met)
    for i in sorted({*known, *exact.folded, *np.flatnonzero(marked).tolist()}):
        state = prior[i] or b""
        head = long[COMPONENTS_HEAD * i : COMPONENTS_HEAD * (i + 1)]
        between = snapshot_marker(int(before[i])) if marked[i] else b""
        new = entries[begins[i] : ends[i]]
        if i in exact.folded:
            part, _, pending = exact.folded[i]
            states[i] = head + part + new[len(new) - PENDING_SIZE * pending :]
        elif heads.folded[i]:
            states[i] = head + state[COMPONENTS_HEAD:] + between + new
        else:
            states[i] = short[HISTORY_HEAD * i : HISTORY_HEAD * (i + 1)] + state[HISTORY_HEAD:] + between + new
    return states
