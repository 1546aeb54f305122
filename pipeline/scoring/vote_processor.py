"""Runs the voter detectors over new votes.

No clock, database or network is used. States and alerts do not depend on how the votes are split into batches. Accepted
and late votes are evidence. Quarantined votes are no evidence. The snapshot in force is the published snapshot whose
reference evaluates the votes. Votes that its rating method leaves out are no evidence either: they do not change
ratings, and an attacker could cast them to dilute the evidence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.events import VoteBatch
from pipeline.evidence import Reference
from pipeline.scoring.detector_contracts import VoterDetector, VoterVotes
from pipeline.scoring.signals import AlertSignal
from pipeline.vocabulary.arrays import Bool, Int8, Int64
from pipeline.vocabulary.fates import QUARANTINED

DetectorStates = tuple[bytes | None, ...]
"""The states of one voter, one per detector in the order of the detectors; None where a detector has no state."""

PriorStates = Callable[[int, Sequence[int]], Sequence[DetectorStates | None]]
"""A function of (partition, pseudonyms of voters) that returns the states of each voter, None for a new voter."""


@dataclass(frozen=True, slots=True)
class PartitionVotes:
    """The votes of one partition that have a voter: arrays of length n, in the order of offsets.

    Attributes:
        voter: pseudonym of the voter of each vote.
        offset, at: offset and event time (microseconds since 1970 UTC) of each vote.
        model_a, model_b: model numbers (model_no).
        outcome: int8[n], a position in OUTCOMES.
        prompt: 64 bits of the hash of each prompt, 0 without a prompt.
        flags: the flags of each vote, as bits.
    """

    voter: Int64
    offset: Int64
    at: Int64
    model_a: Int64
    model_b: Int64
    outcome: Int8
    prompt: Int64
    flags: Int64

    def where(self, rows: Bool) -> "PartitionVotes":
        """Return the votes for which `rows`, bool[n], is true."""
        return PartitionVotes(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class DetectorResults:
    """The states and the alerts that the voter detectors return for a batch.

    Attributes:
        states: partition number (partition_no) → pseudonym of a voter → the voter's new states.
        alerts: the alerts that open or escalate.
    """

    states: dict[int, dict[int, DetectorStates]]
    alerts: list[AlertSignal]


def run_detectors(
    batch: VoteBatch,
    models: Int64,
    fate: Int8,
    prior: PriorStates,
    reference: Reference | None,
    detectors: Sequence[VoterDetector],
    earlier: Callable[[int], Reference] | None = None,
) -> DetectorResults:
    """Run the voter detectors over the new votes of a batch.

    Args:
        batch: votes without duplicates, sorted by partition, then by offset.
        models: int64[n, 2], model numbers (model_no) of model a and b.
        fate: int8[n], fate of each vote.
        prior: reads the states of voters before these votes.
        reference: reference of the snapshot in force. If it is None, nothing is done, and these votes are never
            evaluated.
        detectors: the detectors to run.
        earlier: returns the reference of an earlier snapshot, given its sequence number.

    Returns:
        The new states of the voters, and the alerts.
    """
    if reference is None:
        return DetectorResults({}, [])
    states: dict[int, dict[int, DetectorStates]] = {}
    alerts: list[AlertSignal] = []
    visible = _visible(batch, fate, reference)
    for part in np.unique(batch.partition[visible]).tolist():
        rows = visible[batch.partition[visible] == part]
        votes = PartitionVotes(
            batch.voter[rows],
            batch.offset[rows],
            batch.cast_at[rows],
            models[rows, 0],
            models[rows, 1],
            batch.outcome[rows],
            batch.prompt[rows],
            batch.flags[rows].astype(np.int64),
        )
        results = run_detectors_on_partition(part, votes, prior, reference, detectors, earlier)
        states.update(results.states)
        alerts.extend(results.alerts)
    return DetectorResults(states, alerts)


def visible_voters(batch: VoteBatch, fate: Int8, reference: Reference) -> dict[int, list[int]]:
    """Return the voters whose states `run_detectors` reads: partition number (partition_no) → ascending pseudonyms.

    Args:
        batch: votes without duplicates.
        fate: int8[n], fate of each vote.
        reference: reference of the snapshot in force.
    """
    visible = _visible(batch, fate, reference)
    partition, voter = batch.partition[visible], batch.voter[visible]
    return {part: np.unique(voter[partition == part]).tolist() for part in np.unique(partition).tolist()}


def run_detectors_on_partition(
    partition: int,
    given: PartitionVotes,
    prior: PriorStates,
    reference: Reference,
    detectors: Sequence[VoterDetector],
    earlier: Callable[[int], Reference] | None = None,
) -> DetectorResults:
    """Run the voter detectors over votes of one partition.

    Args:
        partition: partition number (partition_no).
        given: the votes. Votes that the method of the snapshot leaves out are not evaluated.
        prior: reads the states of voters before these votes.
        reference: reference of the snapshot in force.
        detectors: the detectors to run.
        earlier: returns the reference of an earlier snapshot, given its sequence number.

    Returns:
        The new states of the voters, and the alerts.
    """
    counts = (given.flags & reference.left_out) == 0
    given = given if counts.all() else given.where(counts)
    names, voter = np.unique(given.voter, return_inverse=True)
    order = np.argsort(voter, kind="stable")  # keeps the order of offsets
    votes = VoterVotes(
        voter[order],
        names,
        partition,
        given.offset[order],
        given.at[order],
        given.model_a[order],
        given.model_b[order],
        given.outcome[order],
        given.prompt[order],
    )
    alerts: list[AlertSignal] = []
    voters, after = names.tolist(), []
    known = prior(partition, voters) if detectors else []
    for k, detector in enumerate(detectors):
        before = [None if states is None else states[k] for states in known]
        new_states, raised = detector.observe(votes, before, reference, earlier)
        after.append(new_states)
        alerts.extend(raised)
    by_voter = {partition: dict(zip(voters, zip(*after, strict=True), strict=True))} if after else {}
    return DetectorResults(by_voter, alerts)


def _visible(batch: VoteBatch, fate: Int8, reference: Reference) -> Int64:
    return np.flatnonzero(batch.has_voter & (fate != QUARANTINED) & (batch.flags & reference.left_out == 0))
