"""Writes one batch in one transaction.

The steps are, in this order: check that this worker still owns each partition (fence); find duplicates within the batch
and in the store; read voter states; evaluate the new votes; write votes, states, window counts, alerts, outbox and
offsets. The transaction commits all of these changes or none. A batch that was rolled back is written again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.events import VoteBatch
from pipeline.events.chunk import Chunk, FileRecords
from pipeline.evidence import Reference
from pipeline.scoring import vote_processor, window_counter
from pipeline.scoring.detector_contracts import VoterDetector
from pipeline.scoring.fate import assign_fate, window_times
from pipeline.scoring.signals import AlertSignal
from pipeline.scoring.window_counter import WindowCounts
from pipeline.store.alerting import alert_lifecycle, outbox
from pipeline.store.boards import voter_labels
from pipeline.store.db import dialect
from pipeline.store.db.connection_handover import lend_to_thread, run_inline
from pipeline.store.votes import file_readings, ingest, partitions, snapshots_in_force, voter_states, window_counts
from pipeline.store.votes.dictionary import NameDictionary, model_names
from pipeline.stream.decoding import DecodedBatch
from pipeline.stream.deduplication import Deduplication, deduplicate, write_duplicates
from pipeline.stream.ingest_tally import IngestTally, tally_batch
from pipeline.stream.owned_partition import OwnedPartition
from pipeline.stream.reference_cache import ReferenceCache
from pipeline.stream.topic_messages import Message, alert_message, rejected_vote_message
from pipeline.stream.voter_state_cache import VoterStateCache
from pipeline.vocabulary.arrays import Bool, Int8, Int32, Int64


@dataclass(frozen=True)
class WriteContext:
    """Holds what is the same for every batch that a worker writes.

    Attributes:
        source_no: the number of the source in the store (source_no).
        names: the store's dictionary, which gives names numbers.
        detectors: the voter detectors to run.
        lateness: microseconds by which a watermark is behind the event time.
        topics: names of the topics "alerts" and "rejected"; None without a broker.
        states: cache of voter states.
    """

    source_no: int
    names: NameDictionary
    detectors: Sequence[VoterDetector]
    lateness: int
    topics: Mapping[str, str] | None
    states: VoterStateCache


@dataclass(frozen=True)
class BatchResult:
    """Tells the worker what a batch changed. The worker updates its memory after the commit.

    Attributes:
        tally: numbers of records by fate.
        event_time: partition number (partition_no) → largest event time of the partition after the batch, in
            microseconds since 1970 UTC; None before its first vote.
        states: partition number (partition_no) → pseudonym of a voter → changed detector states of the voter.
        states_written: whether the batch also wrote all voter states that earlier batches had left unwritten.
    """

    tally: IngestTally
    event_time: Mapping[int, int | None]
    states: Mapping[int, Mapping[int, vote_processor.DetectorStates]]
    states_written: bool


def write_batch(
    connection: Connection,
    chunks: Sequence[Chunk],
    decoded: DecodedBatch,
    numbers: Mapping[str, Int32],
    owned: Mapping[int, OwnedPartition],
    references: ReferenceCache,
    context: WriteContext,
    now: int,
) -> BatchResult:
    """Write one batch inside the caller's transaction, and return what the batch changed.

    Args:
        chunks, decoded: the polled records, and their votes and rejects. Reading goes on at a chunk's `next_offset`.
        numbers: name of a column → int32[n], the store's numbers for the names in the n votes, from `number_batch`.
        owned: source's number of a partition → the worker's partition. The mapping is not changed here.
        references: the cache of references. It is refreshed here, so a new snapshot evaluates the votes of this batch.
        context: what is the same for every batch.
        now: present time in microseconds since 1970 UTC.

    Raises:
        Fenced: another worker claimed a partition.
    """
    by_no = {o.claim.partition_no: o for o in owned.values()}
    votes = decoded.votes
    before = {no: o.event_time for no, o in by_no.items()}
    fate, event_time = assign_fate(votes, before, context.lateness)
    times = window_times(votes, fate, before)
    progress = [_progress(owned[chunk.partition], chunk, event_time) for chunk in chunks]
    for one in progress:
        partitions.fence(connection, one, now)
    references.refresh(connection)
    for one in progress:
        if by_no[one.partition_no].snapshot < references.sequence:
            snapshots_in_force.put_in_force(connection, one.partition_no, one.first_offset, references.sequence)
    _write_file_records(connection, chunks, owned)
    duplicates = deduplicate(connection, votes, numbers)
    new = duplicates.is_new
    new_numbers = {name: values[new] for name, values in numbers.items()}
    scored = votes.take(new), fate[new], times[new]
    observed, counted = _store_and_score(connection, *scored, new_numbers, references, context)
    raised = [*observed.alerts, *write_duplicates(connection, votes, duplicates), *decoded.signals]
    states_written = context.states.write_due()
    if states_written:
        offsets = {chunk.partition: chunk.next_offset for chunk in chunks}
        write_voter_states(connection, context.states.unwritten(observed.states), owned, offsets)
    window_counts.add_counts(connection, counted)
    ingest.write_rejects(
        connection, decoded.rejects, decoded.partition, decoded.offset, decoded.appended_at, decoded.origins
    )
    ids = alert_lifecycle.open_alerts(connection, raised, model_names(connection) if raised else {}, now)
    if context.topics:
        numbers_of = {no: o.claim.number for no, o in by_no.items()}
        subjects = voter_labels.public_subjects(connection, set(ids)) if ids else {}
        messages = _messages(context.topics, ids, subjects, raised, decoded, numbers_of)
        outbox.enqueue(connection, context.source_no, messages)
    progress = [_with_counts(one, new, fate, votes, duplicates, decoded) for one in progress]
    partitions.record_batch(connection, progress)
    tally = tally_batch(progress, ids, decoded.rejects, decoded.origins, duplicates.same_body)
    return BatchResult(tally, event_time, observed.states, states_written)


def _write_file_records(connection: Connection, chunks: Sequence[Chunk], owned: Mapping[int, OwnedPartition]) -> None:
    """Store which record of a file is at which offset, for messages."""
    for chunk in chunks:
        if isinstance(chunk.origins, FileRecords):
            place = owned[chunk.partition].claim.partition_no, int(chunk.offsets[0])
            file_readings.write_records(connection, *place, chunk.origins.reading, chunk.origins.numbers)


def _store_and_score(
    connection: Connection,
    votes: VoteBatch,
    fates: Int8,
    times: Int64,
    numbers: Mapping[str, Int32],
    references: ReferenceCache,
    context: WriteContext,
) -> tuple[vote_processor.DetectorResults, Sequence[WindowCounts]]:
    """Write n new votes, run the detectors on them, and count them in their windows.

    With PostgreSQL a second thread writes the votes while this thread computes.

    Args:
        connection: the transaction.
        votes: the new votes.
        fates: int8[n], fate of each vote.
        times: int64[n], microseconds since 1970 UTC. A vote counts in the window that contains its time.
        numbers: name of a column → int32[n], the numbers of the store's dictionary.
        references: gives the references of snapshots.
        context: the detectors and the states of voters in memory.
    """
    models = np.column_stack([numbers["model_a"], numbers["model_b"]]).astype(np.int64)
    prior = _read_prior_states(connection, votes, fates, references, context)
    run = lend_to_thread if dialect.has_server(connection) else run_inline
    with run(connection, lambda: ingest.write_votes(connection, votes, numbers, fates)) as wait_for_votes:

        def earlier(sequence: int) -> Reference:
            wait_for_votes()
            return references.earlier(connection, sequence)

        observed = vote_processor.run_detectors(
            votes, models, fates, prior, references.reference, context.detectors, earlier
        )
        return observed, window_counter.count_batch(votes, models, fates, times, references.reference)


def _read_prior_states(
    connection: Connection, votes: VoteBatch, fates: Int8, references: ReferenceCache, context: WriteContext
) -> vote_processor.PriorStates:
    """Read the states of the batch's voters before scoring, while no other thread uses the connection."""
    if references.reference is None or not context.detectors:
        return lambda _, voters: [None] * len(voters)
    parts, first = np.unique(votes.partition, return_index=True)
    began = dict(zip(parts.tolist(), votes.appended_at[first].tolist(), strict=True))
    found = {
        part: context.states.get(connection, part, voters, began[part])
        for part, voters in vote_processor.visible_voters(votes, fates, references.reference).items()
    }
    return lambda part, _: found[part]


def write_voter_states(
    connection: Connection,
    states: Mapping[int, Mapping[int, bytes]],
    owned: Mapping[int, OwnedPartition],
    offsets: Mapping[int, int],
) -> None:
    """Write voter states and the state offset of each owned partition, in one transaction.

    The written states must include all votes before the state offset.

    Args:
        connection: the transaction.
        states: partition number (partition_no) → pseudonym of a voter → packed state.
        owned: source's number of a partition → the worker's partition.
        offsets: source's number of a partition → its state offset. A partition that is missing here gets its
            `next_offset`.

    Raises:
        Fenced: another worker claimed a partition.
    """
    for number, one in owned.items():
        offset = offsets.get(number, one.next_offset)
        voter_states.set_state_offset(connection, one.claim.partition_no, one.claim.epoch, offset)
    voter_states.write(connection, states)


def _progress(owned: OwnedPartition, chunk: Chunk, event_time: Mapping[int, int | None]) -> partitions.BatchProgress:
    no = owned.claim.partition_no
    return partitions.BatchProgress(
        no, owned.claim.epoch, owned.next_offset, chunk.next_offset, event_time.get(no), len(chunk.values),
        0, 0, 0, 0, 0,
    )  # fmt: skip


def _with_counts(
    one: partitions.BatchProgress,
    new: Bool,
    fate: Int8,
    votes: VoteBatch,
    duplicates: Deduplication,
    decoded: DecodedBatch,
) -> partitions.BatchProgress:
    mine = votes.partition == one.partition_no
    accepted, late, quarantined = np.bincount(fate[new & mine], minlength=3).tolist()
    rejected = sum(int(decoded.partition[r.position]) == one.partition_no for r in decoded.rejects)
    return replace(
        one,
        accepted=accepted,
        late=late,
        quarantined=quarantined,
        duplicate=int(mine[duplicates.rows].sum()),
        rejected=rejected,
    )


def _messages(
    topics: Mapping[str, str],
    ids: Sequence[str],
    subjects: Mapping[str, str],
    raised: Sequence[AlertSignal],
    decoded: DecodedBatch,
    number: Mapping[int, int],
) -> list[Message]:
    """Return a message for every alert and reject of the batch, with the source's own partition numbers.

    Args:
        topics: "alerts" and "rejected" → name of the topic.
        ids: the id of each alert, in the order of `raised`.
        subjects: id of an alert → its subject, a label for a voter.
        raised: the signals of the alerts.
        decoded: the batch, with its rejects.
        number: partition number (partition_no) → the source's number of the partition.
    """
    alert_messages = [
        alert_message(topics["alerts"], alert_id, subjects[alert_id], one, number[one.partition])
        for alert_id, one in zip(ids, raised, strict=True)
    ]
    reject_messages = [
        rejected_vote_message(
            topics["rejected"],
            reject,
            number[int(decoded.partition[reject.position])],
            int(decoded.offset[reject.position]),
            decoded.origins[reject.position],
        )
        for reject in decoded.rejects
    ]
    return alert_messages + reject_messages
