"""Reads the vote log segment by segment, computes its root, and decides which leaves count in each view.

A view says which votes a rating counts. The raw view counts accepted and late votes. The defended view counts the votes
of the raw view, but not excluded votes, and not votes that a rule of the method leaves out. Under a manifest of an
earlier version, the defended view counts no late vote. A retracted vote counts in no view.

`VoteLog.counted` refuses a log in which a vote id occurs twice, a vote is retracted twice, or a retraction has a wrong
leaf or vote id.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import Refuted
from ..ratings.pair_counts import PairCounts
from ..vocabulary.arrays import Bool, Int64
from ..vocabulary.fates import ACCEPTED, FATES, LATE
from ..vocabulary.outcomes import OUTCOMES
from .merkle import Frontier

_RETRACTION = -1
# Shares of the ids that are compared one after another.
_SHARES = 16


class VoteLog:
    """Collects the leaves of the vote log in order, to decide which of them count.

    A vote with an id of 32 characters takes about 45 bytes of memory.

    Attributes:
        frontier: the right edge of the Merkle tree over the leaves so far.
    """

    def __init__(self) -> None:
        self.frontier = Frontier()
        self._models: dict[str, int] = {}
        self._columns: list[dict[str, npt.NDArray[Any]]] = []
        self._ids: list[pa.Array] = []
        self._retractions: list[tuple[int, int, str]] = []

    def extend(self, rows: pa.Table, hashes: bytes) -> None:
        """Append n leaves to the log.

        Args:
            rows: table of n rows with `leaf.SCHEMA`, which `leaf.check` has accepted.
            hashes: the leaf hashes of the rows, 32·n bytes.
        """
        if not len(rows):
            return
        first, rows = self.frontier.size, rows.unify_dictionaries().combine_chunks()
        self.frontier.extend(hashes)
        self._columns.append(
            {
                "model_a": self._coded(rows["model_a"], self._model),
                "model_b": self._coded(rows["model_b"], self._model),
                "outcome": self._coded(rows["outcome"], OUTCOMES.index),
                "fate": self._coded(rows["fate"], FATES.index),
            }
        )
        retraction = np.flatnonzero(rows["retracts"].is_valid().to_numpy())
        for row in retraction.tolist():
            self._retractions.append((first + row, rows["retracts"][row].as_py(), rows["vote"][row].as_py()))
        self._ids.extend(rows["vote"].chunks)

    def counted(
        self, excluded: pa.Table, exclusions: int, *, late_counts: bool = True, left_out: Bool | None = None
    ) -> tuple[Bool, Bool, list[int]]:
        """Decide which of the n leaves count in each view.

        Args:
            excluded: columns leaf and exclusion, from `segment.read_excluded`.
            exclusions: number of exclusions in the manifest.
            late_counts: whether late votes count in the defended view.
            left_out: bool[n], True for the leaves that a rule of the method leaves out; None without a method.

        Returns:
            Three values. The first is bool[n], True for the leaves that count in the raw view. The second is bool[n],
            True for the leaves that count in the defended view. The third is a list: the number of excluded votes for
            each exclusion.

        Raises:
            Refuted: reason `duplicate_vote`: a vote id occurs twice. Reason `retraction` or `exclusion`: a retraction
                or an exclusion is wrong. The message names the leaf.
        """
        ids = pa.chunked_array(self._ids, pa.string())
        fate = self._whole("fate")
        self._check_ids(ids, fate)
        counts = np.ones(len(fate), dtype=np.bool_)
        self._apply_retractions(ids, fate, counts)
        raw = counts & ((fate == ACCEPTED) | (fate == LATE))
        defended = raw & (late_counts | (fate == ACCEPTED))
        if left_out is not None:
            defended &= ~left_out
        leaves, reason = excluded["leaf"].to_numpy(), excluded["exclusion"].to_numpy()
        _check_excluded(leaves, reason, defended, exclusions)
        defended[leaves] = False
        return raw, defended, np.bincount(reason, minlength=exclusions).tolist()

    def expect_votes(self, leaves: Int64) -> None:
        """Check that labels belong to votes: none of the given leaves may be a retraction.

        Args:
            leaves: int64[m], indices of the leaves.

        Raises:
            Refuted: reason `labels`: a leaf is not a vote. The message names the leaf.
        """
        wrong = leaves[self._whole("fate")[leaves] == _RETRACTION]
        if len(wrong):
            raise Refuted("labels", f"leaf {wrong[0]}", "expected the label of a vote, got that of a retraction")

    def count_late(self, counted: Bool) -> int:
        """Return the number of late votes among some leaves.

        Args:
            counted: bool[n], True for the leaves among which late votes are counted.
        """
        return int((self._whole("fate")[counted] == LATE).sum())

    def count_readable(self) -> int:
        """Return the number of votes in the log with the fate accepted or late. Retracted votes are included."""
        fate = self._whole("fate")
        return int(((fate == ACCEPTED) | (fate == LATE)).sum())

    def counts(self, counted: Bool, also: list[str]) -> PairCounts:
        """Count the votes of some leaves by pair of models and outcome.

        Args:
            counted: bool[n], True for the leaves to count.
            also: names of models that the result must have, even without a vote.

        Returns:
            Pair counts over the models of the whole log and of `also`, sorted by name.
        """
        names = sorted({*self._models, *also})
        place = {name: at for at, name in enumerate(names)}
        axis = np.array([place[name] for name in self._models], dtype=np.int32)
        a, b, outcome = (self._whole(name)[counted] for name in ("model_a", "model_b", "outcome"))
        return PairCounts.from_codes(names, axis[a], axis[b], outcome)

    def _whole(self, name: str) -> npt.NDArray[Any]:
        return np.concatenate([part[name] for part in self._columns] or [np.zeros(0, dtype=np.int32)])

    def _model(self, name: str) -> int:
        return self._models.setdefault(name, len(self._models))

    def _coded(self, column: pa.ChunkedArray, code: Any) -> npt.NDArray[Any]:
        """Return the code of the text in each row of a column. A row of a retraction has no text and gets −1."""
        terms = column.chunk(0)
        numbers = [code(text) for text in terms.dictionary.to_pylist()]
        kind = np.min_scalar_type(-1 - max(numbers, default=0))  # the fewest bytes that hold the codes and −1
        codes = np.array([*numbers, _RETRACTION], dtype=kind)
        # A null gets the last entry of the table.
        result: npt.NDArray[Any] = codes[terms.indices.fill_null(len(codes) - 1).to_numpy()]
        return result

    def _check_ids(self, ids: pa.ChunkedArray, fate: npt.NDArray[Any]) -> None:
        if all(pc.count_distinct(some).as_py() == len(some) for some in self._shares_of_ids(ids, fate)):
            return
        seen: set[str] = set()
        for at, (one, kind) in enumerate(zip(ids.to_pylist(), fate.tolist(), strict=True)):
            if kind != _RETRACTION and one in seen:
                raise Refuted("duplicate_vote", f"leaf {at}", f"expected each vote once, got {one} again")
            seen.add(one)

    @staticmethod
    def _shares_of_ids(ids: pa.ChunkedArray, fate: npt.NDArray[Any]) -> Iterator[pa.ChunkedArray]:
        """Divide the ids of the votes into shares by their last character, and yield each share.

        A hash table of one share takes little memory. A table of all ids would take twice the memory of the ids.

        Args:
            ids: the ids of the rows, votes and retractions.
            fate: codes of the rows' fates, by which retractions are left out.
        """
        ends, first = [], 0
        for chunk in ids.chunks:
            last = pc.utf8_slice_codeunits(chunk, -1).dictionary_encode()
            table = np.array(
                [ord(text) % _SHARES if text else 0 for text in last.dictionary.to_pylist()] or [0], dtype=np.int8
            )
            share = table[last.indices.to_numpy()]
            share[fate[first : first + len(chunk)] == _RETRACTION] = -1
            ends.append(share)
            first += len(chunk)
        for number in range(_SHARES):
            yield pa.chunked_array(
                [chunk.filter(pa.array(share == number)) for chunk, share in zip(ids.chunks, ends, strict=True)],
                pa.string(),
            )

    def _apply_retractions(self, ids: pa.ChunkedArray, fate: npt.NDArray[Any], counts: Bool) -> None:
        for at, retracted, name in self._retractions:
            where = f"leaf {at}"
            if fate[retracted] == _RETRACTION or ids[retracted].as_py() != name:
                raise Refuted("retraction", where, f"expected leaf {retracted} to be vote {name}")
            if not counts[retracted]:
                raise Refuted("retraction", where, f"expected vote {name} to be retracted once")
            counts[retracted] = False


def _check_excluded(leaves: npt.NDArray[Any], reason: npt.NDArray[Any], defended: Bool, exclusions: int) -> None:
    if len(leaves) and not (leaves[0] >= 0 and leaves[-1] < len(defended)):
        raise Refuted("exclusion", "excluded.parquet", f"expected leaves below {len(defended)}, got {leaves[-1]}")
    for wrong, what in (
        (np.flatnonzero((reason < 0) | (reason >= exclusions)), f"one of {exclusions} exclusions"),
        (np.flatnonzero(~defended[leaves]), "a counted vote that was not retracted and that no rule leaves out"),
    ):
        if len(wrong):
            raise Refuted("exclusion", f"leaf {leaves[wrong[0]]}", f"expected {what}")
