"""Runs the detection of single voters over votes of real people, once as a stream and once as a backlog.

As a stream, the detector evaluates each vote by the last snapshot before the vote. The reference of a snapshot is
estimated from the earlier votes, without the votes of voters who have an alert. A refresh uses the same function. As a
backlog, all votes are evaluated together, in both forms that `pipeline.backlog.voter_rounds` describes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.backlog import BacklogEvaluation, BacklogVotes
from pipeline.detectors import VoterBias
from pipeline.evidence import Reference
from pipeline.jobs.refresh.baseline_reference import estimate_baseline_reference
from pipeline.lab.bench.planted_attacks import PlantedStream
from pipeline.lab.bench.real_boards import RealVotes
from pipeline.registry import RegistryState
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import ALPHA, CRITICAL
from pipeline.store.boards.reference_codec import unpack_reference
from pipeline.store.log.newest_votes import NewestVotes
from pipeline.vocabulary.arrays import Float64, Int64

PARTS = 5
"""Number of parts of equal length into which a stream is divided. A snapshot follows each part but the last."""


@dataclass(frozen=True)
class StreamFindings:
    """What the detector `voter_bias` found about the v voters of a stream.

    Attributes:
        names: int64[v], numbers of the voters, ascending.
        seen: int64[v], number of votes that were evaluated.
        warned, critical, random: float64[v], number of evaluated votes until the first warning, the first critical
            alert, and the first alert about random clicks; infinite without one.
        about: int64[v], number of the model that the likeliest explanation in the voter's last alert names; −1 for
            none.
        references: number of a part of the stream → the reference that evaluates the part. A part without a reference
            is left out.
    """

    names: Int64
    seen: Int64
    warned: Float64
    critical: Float64
    random: Float64
    about: Int64
    references: dict[int, Reference]

    @property
    def last(self) -> Reference | None:
        """The reference of the last snapshot; None if no snapshot has one."""
        return self.references[max(self.references)] if self.references else None


def run_stream(stream: PlantedStream) -> StreamFindings:
    """Run the detector `voter_bias` over a stream of votes.

    Each vote is evaluated by the reference of the last snapshot before the vote. The result says for each voter after
    how many votes each kind of alert opened.
    """
    votes = stream.votes
    names = np.unique(votes.voter)
    edges = (np.arange(PARTS + 1) * len(votes.voter)) // PARTS
    first = {name: np.full(len(names), np.inf) for name in ("warned", "critical", "random")}
    seen, about = np.zeros(len(names), dtype=np.int64), np.full(len(names), -1, dtype=np.int64)
    states: dict[int, bytes] = {}
    references: dict[int, Reference] = {}
    for number in range(1, PARTS):
        flagged = names[np.isfinite(np.minimum(first["warned"], first["random"]))]
        reference = snapshot_reference(votes.take(slice(0, edges[number])), flagged, number)
        if reference is None:
            continue
        references[number] = replace(reference, providers=stream.providers[reference.model_no])
        given = as_batch(votes, int(edges[number]), int(edges[number + 1]))
        prior = [states.get(int(name)) for name in given.names]
        after, alerts = VoterBias().observe(given, prior, references[number], references.__getitem__)
        states |= dict(zip(given.names.tolist(), after, strict=True))
        who = np.searchsorted(names, given.names - 1)
        seen[who] += np.bincount(given.voter, minlength=len(who))
        row_of = {int(offset): row for row, offset in enumerate(given.offset)}
        for alert in alerts:
            voter = who[given.voter[row_of[alert.offset]]]
            kinds = ["random" if alert.direction == "random" else "warned"]
            if alert.severity == "critical":
                kinds.append("critical")
            for kind in kinds:
                first[kind][voter] = min(first[kind][voter], float(alert.evidence["votes"]))
            if alert.direction != "random":
                about[voter] = alert.evidence["likeliest"][0].get("model", -1)
    return StreamFindings(names, seen, first["warned"], first["critical"], first["random"], about, references)


def snapshot_reference(votes: RealVotes, flagged: Int64, sequence: int) -> Reference | None:
    """Estimate the reference of a snapshot from these votes, without the votes of flagged voters.

    Args:
        votes: the votes before the snapshot.
        flagged: int64[n], the numbers of the flagged voters.
        sequence: sequence number of the snapshot.

    Returns:
        The reference; None if the remaining votes do not suffice to rate the models.
    """
    kept = votes.take(~np.isin(votes.voter, flagged))
    n = len(kept.voter)
    newest = NewestVotes(
        np.arange(n), kept.voter + 1, kept.model_a, kept.model_b, kept.outcome, np.zeros(n, dtype=np.int8),
        np.zeros(n, dtype=np.int64),
    )  # fmt: skip
    numbers = {f"{model:04d}": model for model in range(votes.models)}
    found = estimate_baseline_reference(newest, numbers, RegistryState())
    return unpack_reference(sequence, found.packed) if found.packed else None


def as_batch(votes: RealVotes, begin: int, end: int) -> VoterVotes:
    """Return the votes of the rows `begin` to `end` − 1 in the form that a detector reads.

    The pseudonym of voter v is v + 1.
    """
    part = votes.take(slice(begin, end))
    names, code = np.unique(part.voter, return_inverse=True)
    order = np.argsort(code.ravel(), kind="stable")
    rows = begin + order
    part = part.take(order)
    nothing = np.zeros(len(rows), dtype=np.int64)
    return VoterVotes(
        code.ravel()[order], names + 1, 0, rows, rows, part.model_a, part.model_b, part.outcome, nothing
    )  # fmt: skip


@dataclass(frozen=True)
class BacklogVerdicts:
    """What the evaluation of a backlog found about the v voters.

    Attributes:
        names: int64[v], numbers of the voters, ascending.
        votes: int64[v], number of votes of each voter.
        e_value: float64[v], evidence against the null hypothesis that the voter is honest, from the iterated form
            (`run_backlog`). It is 0 for a voter without a finding.
        strict: float64[v], the same evidence from the nested form, by which a policy may exclude a voter. It is 0 for a
            voter without a finding.
        pooled: int64[p], numbers of the voters who were found as members of a group.
    """

    names: Int64
    votes: Int64
    e_value: Float64
    strict: Float64
    pooled: Int64

    @property
    def warned(self) -> Int64:
        """int64[n], numbers of the voters with a finding about the voter alone, not as a member of a group."""
        return self.names[self.e_value >= 1 / ALPHA]

    @property
    def excluded(self) -> Int64:
        """int64[n], numbers of the voters whom the policy excludes without a person's decision."""
        return self.names[self.strict >= CRITICAL]


def run_backlog(stream: PlantedStream) -> BacklogVerdicts:
    """Evaluate all votes of a stream together, as a backlog, and return the e-values of each voter.

    The votes are evaluated in two forms (`pipeline.backlog.voter_rounds`). The iterated form evaluates all voters in
    rounds. Each round leaves the voters found in the round before out of the references. The nested form evaluates each
    fold of voters once, by a reference that these voters have not influenced.

    Returns:
        The e-values of both forms, and the voters who were found as members of groups.
    """
    votes = stream.votes
    at = np.arange(len(votes.voter))
    given = BacklogVotes.from_columns(votes.models, votes.voter + 1, votes.model_a, votes.model_b, votes.outcome, at)
    found = BacklogEvaluation(given, b"real voters", "always", providers=stream.providers).run()
    e_value, strict = np.zeros(len(given.names)), np.zeros(len(given.names))
    for one in found.voters:
        e_value[one.voter], strict[one.voter] = one.e_value, one.strict or 0.0
    names = given.names - 1
    members = [names[one.members] for one in found.pools]
    pooled = np.unique(np.concatenate(members)) if members else np.zeros(0, dtype=np.int64)
    return BacklogVerdicts(names, given.votes_of_voter, e_value, strict, pooled)
