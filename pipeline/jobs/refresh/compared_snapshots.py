"""Reads what a comparison of two snapshots needs: the rows of both, and the votes that are counted after each step.

The steps are those of `board_diff`: settings, method, exclusions, new votes. Usually two snapshots differ by new votes
only. Then only these votes are read, and the time does not depend on the size of the log.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.jobs.refresh.board_method import stated_method
from pipeline.jobs.refresh.diff_steps import Row, StepInputs, differ_by_votes_only, read_left_out, view_counts
from pipeline.jobs.refresh.new_votes import count_new_votes
from pipeline.jobs.refresh.rating_input import counted_fates
from pipeline.ratings import PairCounts
from pipeline.ratings.method import ALL_VOTES
from pipeline.store.boards import excluded_votes, snapshots
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import retractions

Rows = Mapping[str, Mapping[str, Row]]
"""Name of a view or board → model → its row."""


@dataclass(frozen=True, slots=True)
class ComparedSnapshots:
    """The rows and votes of two snapshots that a comparison of their boards needs.

    Attributes:
        old: name of a board → model → its row in the older snapshot.
        new: name of a board → model → its row in the newer snapshot.
        chain: the votes that are counted after each step of the comparison; None if the snapshots differ by new votes
            only.
        fresh: name of a view or board → its new votes; empty if there is a `chain`, since new votes are then computed
            from the chain.
    """

    old: Rows
    new: Rows
    chain: StepInputs | None
    fresh: Mapping[str, PairCounts]

    @classmethod
    def read(
        cls,
        connection: Connection,
        files: LedgerFiles,
        before: PublishedSnapshot,
        after: PublishedSnapshot,
        names: Collection[str],
        beside: ComparedSnapshots | None = None,
    ) -> ComparedSnapshots:
        """Read the rows and votes of two snapshots.

        Args:
            connection: a connection to the store.
            files: the ledger files of the store.
            before: the older snapshot.
            after: the newer snapshot.
            names: the views, and the boards by category or language, that are compared.
            beside: data of another comparison with the same newer snapshot and the same names. The data of the newer
                snapshot are taken from this comparison. None to read them.
        """
        old = _rows(connection, before, names)
        new = beside.new if beside is not None else _rows(connection, after, names)
        fresh = _read_new_votes(connection, files, before, after, names)
        if fresh is not None:
            return cls(old, new, None, fresh)
        newest = beside.chain.after if beside is not None and beside.chain is not None else None
        return cls(old, new, StepInputs.read(connection, files, before, after, names, newest), {})

    def new_votes(self, view: str) -> PairCounts:
        """Return the pair counts of the new votes of a view.

        New votes are those that the newer snapshot counts and that are not in the log of the older snapshot. A pair
        with more retracted than new votes has 0.
        """
        if self.chain is None:
            return self.fresh[view]
        return _growth(view_counts(self.chain.after, view), view_counts(self.chain.exclusions, view))


def _rows(connection: Connection, snapshot: PublishedSnapshot, names: Collection[str]) -> Rows:
    found = snapshots.read_boards(connection, snapshot.snapshot_id, names)
    return {name: {row["model"]: row for row in rows} for name, rows in found.items()}


def _read_new_votes(
    connection: Connection,
    files: LedgerFiles,
    before: PublishedSnapshot,
    after: PublishedSnapshot,
    names: Collection[str],
) -> dict[str, PairCounts] | None:
    """Return the new votes in each of the views and boards `names`; None if more than new votes differs."""
    if not differ_by_votes_only(before, after):
        return None
    if retractions.any_between(connection, before.log_size, after.log_size):
        return None
    fates = counted_fates(after.body)
    left_out = read_left_out(connection, files, after.log_size, after)
    if left_out is None:
        left_out = excluded_votes.find_excluded(connection, after.log_size, after.body["exclusions"], fates)
    method = replace(ALL_VOTES, rules=stated_method(after.body).rules)
    waiting = after.body.get("unregistered", ())
    return count_new_votes(connection, before.log_size, after.log_size, left_out, fates, waiting, method, names)


def _growth(after: PairCounts, before: PairCounts) -> PairCounts:
    """Return by how much each count increased. 0 for a count that decreased because votes were retracted."""
    size, table = len(after.models), after.table().copy()
    pairs, known = after.a * size + after.b, before.a * size + before.b
    both = np.isin(pairs, known)
    table[both] -= before.table()[np.searchsorted(known, pairs[both])]
    return PairCounts.from_rows(after.models, after.a, after.b, np.maximum(table, 0))
