"""Replaces the names in a batch of votes by the numbers of the store's dictionary."""

from collections.abc import Mapping, Sequence

from pipeline.events import VoteBatch
from pipeline.events.chunk import Chunk
from pipeline.store import Store
from pipeline.store.votes.dictionary import NameDictionary
from pipeline.stream.decoding import DecodedBatch
from pipeline.stream.name_quota import apply_name_quota
from pipeline.stream.owned_partition import OwnedPartition
from pipeline.vocabulary.arrays import Int32

_MODELS = ("model_a", "model_b")
_TERMS = ("language", "category", "network", "categories")


def number_batch(
    store: Store,
    names: NameDictionary,
    quota: int,
    chunks: Sequence[Chunk],
    decoded: DecodedBatch,
    owned: Mapping[int, OwnedPartition],
) -> tuple[DecodedBatch, Mapping[str, Int32]]:
    """Reject votes beyond the quota for new model names, then replace the names in a batch by numbers.

    The quota is checked only if the number of a model name is not in memory. New names get numbers in the store.

    Args:
        store: the store with the dictionary, the registry and the counts.
        names: the store's dictionary, which gives names numbers.
        quota: largest number of new model names of a partition in an hour of append time.
        chunks: the polled records.
        decoded: the same records, decoded.
        owned: source's number of a partition → the worker's partition.

    Returns:
        Two values. The first is the batch, in which votes beyond the quota are rejects. The second maps the name of a
        column (model_a, model_b, language, category, network, categories) to int32[n], the numbers of the n votes'
        names.
    """
    models = {column: names.known_numbers("model", getattr(decoded.votes, column)) for column in _MODELS}
    known = {column: numbers for column, numbers in models.items() if numbers is not None}
    if len(known) < len(models):
        partition_no = {number: one.claim.partition_no for number, one in owned.items()}
        decoded = apply_name_quota(store, names, quota, chunks, decoded, partition_no)
        known = _number(decoded.votes, names, _MODELS)
    return decoded, known | _number(decoded.votes, names, _TERMS)


def _number(votes: VoteBatch, names: NameDictionary, columns: Sequence[str]) -> dict[str, Int32]:
    return {
        column: names.numbers("model" if column in _MODELS else column, getattr(votes, column)) for column in columns
    }
