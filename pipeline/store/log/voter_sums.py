"""Stores sums over the voters of each view, so that not every refresh reads all votes again.

A summand is a product of one voter's scores. The score of a voter is what the voter's votes add to the gradient of the
fit (`ratings.voter_scores`). Standard errors clustered by voter are computed from these sums. The sums are matrices
over models and name no voter. They are stored in the table `sealed_total`.
"""

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from pipeline.store.db import dialect, schema
from pipeline.vocabulary.arrays import Float64, Int64
from pipeline.vocabulary.packing import pack_arrays, unpack_arrays

_PREFIX = "voters/"


@dataclass(frozen=True, slots=True, eq=False)
class KeptVoterSums:
    """Holds the stored sums over the voters of a view, at a size of the vote log. K is the number of rated models.

    Attributes:
        log_size: number of leaves of the vote log.
        votes: number of votes in the sums.
        total: number of votes of the view between rated models, including votes that are not in the sums.
        rules: bits of the method's rules by which votes were left out.
        models: int64[K], model numbers (model_no) of the rated models.
        excluded: int64[n], leaf indices of the excluded votes, ascending.
        scatter: float64[K, K], sum over voters of the outer product of the voter's score (`ratings.voter_scores`).
        single: float64[K, K], the same sum with each vote taken as a voter of its own.
        fourth: float64[K], for each model the sum over voters of the fourth power of the voter's score.
        theta: float64[K], the strengths of the models in logits with which all scores were computed.
    """

    log_size: int
    votes: int
    total: int
    rules: int
    models: Int64
    excluded: Int64
    scatter: Float64
    single: Float64
    fourth: Float64
    theta: Float64


_ARRAYS = ("models", "excluded", "scatter", "single", "fourth", "theta")


def read_sums(connection: Connection, view: str) -> KeptVoterSums | None:
    """Return the stored sums over the voters of a view. None if there are none in the form of this version."""
    t = schema.sealed_total.c
    row = connection.execute(sa.select(t.log_size, t.counts).where(t.name == _PREFIX + view)).one_or_none()
    if row is None:
        return None
    found = unpack_arrays(bytes(row.counts))
    votes, total, rules = found["facts"].tolist()
    if "theta" not in found:  # of an earlier version
        return None
    arrays = {name: found[name] for name in _ARRAYS}
    return KeptVoterSums(int(row.log_size), votes, total, rules, **arrays)


def keep_sums(connection: Connection, view: str, sums: KeptVoterSums) -> None:
    """Replace the stored sums over the voters of a view."""
    arrays = {name: getattr(sums, name) for name in _ARRAYS}
    packed = pack_arrays({**arrays, "facts": np.array([sums.votes, sums.total, sums.rules], dtype=np.int64)})
    row = {"name": _PREFIX + view, "log_size": sums.log_size, "counts": packed}
    dialect.upsert(connection, schema.sealed_total, ["name"], [row])
