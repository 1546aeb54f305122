"""Reads the vote log segment by segment, computes its root, and decides which leaves count in each view.

A view says which votes a rating counts. The raw view counts accepted and late votes. The defended view counts the votes
of the raw view, but not excluded votes, and not votes that a rule of the method leaves out. Under a manifest of an
earlier version, the defended view counts no late vote. A retracted vote counts in no view.

`VoteLog.counted` refuses a log in which a vote id occurs twice, a vote is retracted twice, or a retraction has a wrong
leaf or vote id.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import Refuted
from ..ratings.pair_counts import PairCounts
from ..vocabulary.arrays import Bool, Int64
from ..vocabulary.fates import ACCEPTED, FATES, LATE
from ..vocabulary.outcomes import OUTCOMES
from .merkle import Frontier

_RETRACTION = -1
# Shares of the fingerprints that are compared one after another, by their highest bits.
_SHARE_BITS = 4
# Ids that are texts of Python at one time.
_TEXTS = 65_536


class VoteLog:
    """Collects the leaves of the vote log in order, to decide which of them count.

    A vote takes about 14 bytes of memory. Its id is kept as a fingerprint of 64 bits, and ids with equal fingerprints
    are read again. Nobody can choose such ids, because Python's hashes of texts differ from process to process.

    Attributes:
        frontier: the right edge of the Merkle tree over the leaves so far.
    """

    def __init__(self) -> None:
        self.frontier = Frontier()
        self._models: dict[str, int] = {}
        self._columns: list[dict[str, npt.NDArray[Any]]] = []
        self._fingerprints: list[Int64] = []
        self._read_ids: list[Callable[[], pa.Array]] = []
        self._retractions: list[tuple[int, int, str]] = []

    def extend(self, rows: pa.Table, hashes: bytes, read_ids: Callable[[], pa.Array] | None = None) -> None:
        """Append n leaves to the log.

        Args:
            rows: table of n rows with `leaf.SCHEMA`, which `leaf.check` has accepted.
            hashes: the leaf hashes of the rows, 32·n bytes.
            read_ids: reads the column `vote` of the same rows again, n texts; None to keep this column in memory.
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
        ids = rows["vote"].chunk(0)
        self._fingerprints.append(_fingerprints(ids))
        self._read_ids.append(read_ids or (lambda: ids))

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
        fate = self._whole("fate")
        self._check_ids()
        counts = np.ones(len(fate), dtype=np.bool_)
        self._apply_retractions(fate, counts)
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
        parts, first = [PairCounts.from_codes(names, axis[:0], axis[:0], axis[:0])], 0
        for columns in self._columns:
            kept = counted[first : first + len(columns["fate"])]
            first += len(kept)
            a, b, outcome = (columns[name][kept] for name in ("model_a", "model_b", "outcome"))
            parts.append(PairCounts.from_codes(names, axis[a], axis[b], outcome))
        return PairCounts.merge(parts)

    def _whole(self, name: str) -> npt.NDArray[Any]:
        return np.concatenate([part[name] for part in self._columns] or [np.zeros(0, dtype=np.int32)])

    def _model(self, name: str) -> int:
        return self._models.setdefault(name, len(self._models))

    def _coded(self, column: pa.ChunkedArray, code: Any) -> npt.NDArray[Any]:
        """Return `code(text)` for the text in each row of a column. A row of a retraction has no text and gets −1."""
        terms = column.chunk(0)
        numbers = [code(text) for text in terms.dictionary.to_pylist()]
        kind = np.min_scalar_type(-1 - max(numbers, default=0))  # the fewest bytes that hold the codes and −1
        codes = np.array([*numbers, _RETRACTION], dtype=kind)
        # A null gets the last entry of the table.
        result: npt.NDArray[Any] = codes[terms.indices.fill_null(len(codes) - 1).to_numpy()]
        return result

    def _check_ids(self) -> None:
        """Check that each vote id occurs once: the votes whose fingerprints are equal must differ in their ids."""
        repeated = self._repeated_fingerprints()
        if not len(repeated):
            return
        seen: set[str] = set()
        first = 0
        for prints, columns, read_ids in zip(self._fingerprints, self._columns, self._read_ids, strict=True):
            rows = np.flatnonzero(np.isin(prints, repeated) & (columns["fate"] != _RETRACTION))
            ids = read_ids().take(pa.array(rows)).to_pylist() if len(rows) else []
            for row, one in zip(rows.tolist(), ids, strict=True):
                if one in seen:
                    raise Refuted("duplicate_vote", f"leaf {first + row}", f"expected each vote once, got {one} again")
                seen.add(one)
            first += len(prints)

    def _repeated_fingerprints(self) -> Int64:
        """Return the fingerprints that several votes have, ascending. A part is sorted at a time, to save memory."""
        found = [np.zeros(0, dtype=np.int64)]
        for share in range(-(1 << _SHARE_BITS - 1), 1 << _SHARE_BITS - 1):
            parts = [
                prints[(prints >> 64 - _SHARE_BITS == share) & (columns["fate"] != _RETRACTION)]
                for prints, columns in zip(self._fingerprints, self._columns, strict=True)
            ]
            some = np.sort(np.concatenate(parts)) if parts else found[0]
            found.append(np.unique(some[1:][some[1:] == some[:-1]]))
        return np.concatenate(found)

    def _apply_retractions(self, fate: npt.NDArray[Any], counts: Bool) -> None:
        names = self._ids_of(np.array([retracted for _, retracted, _ in self._retractions], dtype=np.int64))
        for (at, retracted, name), found in zip(self._retractions, names, strict=True):
            where = f"leaf {at}"
            if fate[retracted] == _RETRACTION or found != name:
                raise Refuted("retraction", where, f"expected leaf {retracted} to be vote {name}")
            if not counts[retracted]:
                raise Refuted("retraction", where, f"expected vote {name} to be retracted once")
            counts[retracted] = False

    def _ids_of(self, leaves: Int64) -> list[str]:
        """Return the ids of some leaves. Each segment that has one of them is read once."""
        found, first = [""] * len(leaves), 0
        for prints, read_ids in zip(self._fingerprints, self._read_ids, strict=True):
            places = np.flatnonzero((leaves >= first) & (leaves < first + len(prints)))
            if len(places):
                ids = read_ids().take(pa.array(leaves[places] - first)).to_pylist()
                for place, one in zip(places.tolist(), ids, strict=True):
                    found[place] = one
            first += len(prints)
        return found


def _fingerprints(ids: pa.Array) -> Int64:
    """Return int64[n], Python's hash of each text."""
    result = np.empty(len(ids), dtype=np.int64)
    for at in range(0, len(ids), _TEXTS):
        some = ids.slice(at, _TEXTS)
        result[at : at + len(some)] = np.fromiter(map(hash, some.to_pylist()), np.int64, len(some))
    return result


def _check_excluded(leaves: npt.NDArray[Any], reason: npt.NDArray[Any], defended: Bool, exclusions: int) -> None:
    if len(leaves) and not (leaves[0] >= 0 and leaves[-1] < len(defended)):
        raise Refuted("exclusion", "excluded.parquet", f"expected leaves below {len(defended)}, got {leaves[-1]}")
    for wrong, what in (
        (np.flatnonzero((reason < 0) | (reason >= exclusions)), f"one of {exclusions} exclusions"),
        (np.flatnonzero(~defended[leaves]), "a counted vote that was not retracted and that no rule leaves out"),
    ):
        if len(wrong):
            raise Refuted("exclusion", f"leaf {leaves[wrong[0]]}", f"expected {what}")
