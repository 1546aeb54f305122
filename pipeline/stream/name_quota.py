"""Rejects votes on new model names beyond a quota for each partition and hour of append time.

Names stay in the store's dictionary forever. Without a quota, an attacker could fill it with votes on invented names. A
name that is in the dictionary or in the registry is not new. New names are counted in the order of the offsets. One
transaction stores the count of a partition together with the names that were admitted. If a batch fails after this
transaction and is written again, the admitted names are known and are not counted twice.

Not handled: languages, categories and networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.events.chunk import Chunk
from pipeline.events.decode import Reject, build_reject
from pipeline.registry import Registry
from pipeline.store import Store
from pipeline.store.db import dialect, schema
from pipeline.store.votes import registry_events
from pipeline.store.votes.dictionary import NameDictionary
from pipeline.stream.decoding import DecodedBatch, in_order
from pipeline.vocabulary.time import HOUR

REASON = "name_quota"

# The hour and the number of names as one integer.
_NAMES = 2**32
_END_OF_TIME = 2**62


def apply_name_quota(
    store: Store,
    names: NameDictionary,
    quota: int,
    chunks: Sequence[Chunk],
    decoded: DecodedBatch,
    partition_no: Mapping[int, int],
) -> DecodedBatch:
    """Turn votes on new model names beyond the quota into rejects, and return the batch.

    A model name is new if neither the dictionary nor the registry has it. New names within the quota get numbers in the
    store. If no vote is beyond the quota, the batch is unchanged.

    Args:
        store: the store with the dictionary, the registry and the counts.
        names: the store's dictionary, which gives names numbers.
        quota: largest number of new model names of a partition in an hour of append time.
        chunks: the polled records.
        decoded: the same records, decoded.
        partition_no: source's number of a partition → store's number of the partition.
    """
    votes = decoded.votes
    fresh = names.find_new("model", {*votes.model_a, *votes.model_b})
    if not fresh:
        return decoded
    rows = [
        row for row, pair in enumerate(zip(votes.model_a, votes.model_b, strict=True)) if not fresh.isdisjoint(pair)
    ]
    with store.write() as connection:
        fresh -= _registered(connection, fresh)
        over = _admit(connection, names, fresh, quota, decoded, rows)
    if not over:
        return decoded
    values = [value for chunk in in_order(chunks, partition_no) for value in chunk.values]
    return _with_rejects(values, decoded, over, quota)


def _registered(connection: Connection, names: set[str]) -> set[str]:
    state = Registry(registry_events.read_since(connection, 0)[0]).as_of(_END_OF_TIME)
    return {name for name in names if state.first_name(name) in state.models}


def _admit(
    connection: Connection, names: NameDictionary, fresh: set[str], quota: int, decoded: DecodedBatch, rows: list[int]
) -> list[int]:
    """Store the new names within the quota and how many they are, and find the votes on names beyond the quota.

    Args:
        connection: the transaction.
        names: the store's dictionary.
        fresh: the new model names in the batch.
        quota: largest number of new model names of a partition in an hour of append time.
        decoded: the batch.
        rows: rows of the votes on a new name, ascending.

    Returns:
        The rows of the votes beyond the quota.
    """
    votes, admitted, over = decoded.votes, set[str](), list[int]()
    counts = {part: _read_count(connection, part) for part in {int(votes.partition[row]) for row in rows}}
    for row in rows:
        part, hour = int(votes.partition[row]), int(votes.appended_at[row]) // HOUR
        since, used = counts[part]
        if hour > since:
            since, used = hour, 0
        brought = ({votes.model_a[row], votes.model_b[row]} & fresh) - admitted
        if used + len(brought) > quota:
            over.append(row)
        else:
            admitted |= brought
            used += len(brought)
        counts[part] = since, used
    if admitted:
        names.add_models(connection, sorted(admitted))
    for part, (since, used) in counts.items():
        stored = {"name": _count_name(part), "position": since * _NAMES + used}
        dialect.upsert(connection, schema.position, ["name"], [stored])
    return over


def _read_count(connection: Connection, partition_no: int) -> tuple[int, int]:
    """Return the newest hour with a count of a partition, and the number of new names in this hour.

    The hour is the number of whole hours since 1970 UTC. Without a stored count, both are 0.
    """
    c = schema.position.c
    stored = connection.scalar(sa.select(c.position).where(c.name == _count_name(partition_no)))
    hour, used = divmod(int(stored or 0), _NAMES)
    return hour, used


def _count_name(partition_no: int) -> str:
    return f"new_models:{partition_no}"


def _with_rejects(values: list[bytes | None], decoded: DecodedBatch, over: list[int], quota: int) -> DecodedBatch:
    votes = decoded.votes
    records = zip(decoded.partition.tolist(), decoded.offset.tolist(), strict=True)
    places = {record: position for position, record in enumerate(records)}
    made: list[Reject] = []
    for row in over:
        position = places[int(votes.partition[row]), int(votes.offset[row])]
        detail = (
            f"expected at most {quota} new model names in an hour of this partition, got {votes.model_a[row]!r} "
            f"against {votes.model_b[row]!r}: register the model, or wait an hour"
        )
        made.append(build_reject(position, values[position], REASON, detail))
    kept = np.ones(len(votes), dtype=np.bool_)
    kept[over] = False
    rejects = sorted([*decoded.rejects, *made], key=lambda one: one.position)
    return replace(decoded, votes=votes.take(kept), rejects=rejects)
