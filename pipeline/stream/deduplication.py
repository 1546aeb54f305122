"""Votes whose id is known already: the first one counts, whatever comes later.

Within a batch the first in the order (partition, offset) is the first; between batches, the stored one. A repeat
that says the same is a duplicate; one that says something else is an alert besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.events import VoteBatch
from pipeline.scoring.signals import Raised, voter_label
from pipeline.scoring.vote_processor import first_of_each
from pipeline.store.votes import ingest
from pipeline.vocabulary.arrays import Bool, Int64


@dataclass(frozen=True)
class Sifted:
    """A batch of n votes, parted.

    Attributes:
        new: bool[n], a new id.
        rows: int64[r], the repeats.
        firsts: where the vote that each repeats stands.
        same: whether it says the same.
    """

    new: Bool
    rows: Int64
    firsts: list[ingest.Place]
    same: list[bool]


def sift(connection: Connection, votes: VoteBatch, numbers: Mapping[str, Any]) -> Sifted:
    """Tell new votes from repeats, and repeats that say the same from those that do not.

    Args:
        numbers: model_a, model_b, language, category, network of the votes.
    """
    keys, first = ingest.keys_of(votes), first_of_each(votes.key)
    leads = first == np.arange(len(votes))
    known = ingest.probe(connection, keys[leads])
    new = leads.copy()
    stored: dict[int, ingest.Place] = {}
    if known:
        for row in np.flatnonzero(leads).tolist():
            place = known.get(keys[row].tobytes())
            if place is not None:
                stored[row] = place
                new[row] = False
    rows = np.flatnonzero(~new)
    if not len(rows):
        return Sifted(new, rows, [], [])
    heads = first[rows].tolist()
    firsts = [stored.get(i) or (int(votes.partition[i]), int(votes.offset[i])) for i in heads]
    return Sifted(new, rows, firsts, _same(connection, votes, numbers, rows, heads, stored))


def _same(
    connection: Connection,
    votes: VoteBatch,
    numbers: Mapping[str, Any],
    rows: Int64,
    heads: list[int],
    stored: Mapping[int, ingest.Place],
) -> list[bool]:
    involved = np.unique(np.concatenate([rows, np.array(heads, dtype=np.int64)]))
    sayings = ingest.saying(votes.take(involved), {name: values[involved] for name, values in numbers.items()})
    here = dict(zip(involved.tolist(), sayings, strict=True))
    first = here | dict(zip(stored, ingest.said(connection, list(stored.values())) if stored else [], strict=True))
    return [here[row] == first[head] for row, head in zip(rows.tolist(), heads, strict=True)]


def write_repeats(connection: Connection, votes: VoteBatch, sifted: Sifted) -> list[Raised]:
    """Keep the repeats; those that say something else are alerts."""
    ingest.write_duplicates(connection, votes.take(sifted.rows), sifted.firsts, sifted.same)
    return [
        Raised(
            detector="duplicate_votes",
            subject_kind="voter" if votes.has_voter[i] else "board",
            subject=voter_label(int(votes.voter[i])) if votes.has_voter[i] else "votes",
            direction="same id, other vote",
            severity="warning",
            e_value=None,
            level=1,
            partition=int(votes.partition[i]),
            offset=int(votes.offset[i]),
            at=int(votes.cast_at[i]),
            evidence={
                "vote_id": votes.vote_id[i],
                "counted": {"partition": part, "offset": offset},
                "ignored": {"partition": int(votes.partition[i]), "offset": int(votes.offset[i])},
            },
        )
        for i, (part, offset), same in zip(sifted.rows.tolist(), sifted.firsts, sifted.same, strict=True)
        if not same
    ]
