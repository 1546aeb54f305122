"""Writes and reads labels of leaves: the rules that may leave a vote out, its categories and its language.

Each segment, which is the file of the leaves of one seal, has at most one file of labels. This file is Parquet with the
columns

    leaf        int64, index of the leaf, ascending; only leaves with a label
    rules       int32, bits of `method_rules.RULE_BITS`
    categories  list<string>
    language    string, null if the vote states none

A verifier needs these files to apply a method, and to count the boards by category and language. The operator states
the labels. Nobody can check them, because a leaf does not contain these fields. The votes of a segment without a file
have no labels.

With the same version of Arrow, the same labels give the same bytes.
"""

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import Refuted
from ..vocabulary.arrays import Bool, Int32, Int64
from ..vocabulary.method_rules import ALL_BITS
from . import size_limits

KINDS = ("category", "language")
"""Kinds of labels that have boards of their own: a board counts the votes with one category or one language."""
MAX_LABELS = 65
"""Largest number of categories of a vote."""
MAX_TEXT = 200
"""Largest number of characters of a category or a language."""
MAX_LABELS_BYTES = 2_000
"""Largest number of bytes of a vote's list of categories as JSON."""

_LABEL = pa.list_(pa.field("element", pa.string()))
SCHEMA = pa.schema(
    [
        pa.field("leaf", pa.int64(), nullable=False),
        pa.field("rules", pa.int32(), nullable=False),
        pa.field("categories", _LABEL, nullable=False),
        pa.field("language", pa.string()),
    ]
)
# A larger dictionary is written as plain texts, which Arrow cannot read as codes within lists.
_DICTIONARY_BYTES = 32 * 1024 * 1024
# What a row may unpack to: its numbers, and a code of each category. Rows that repeat take almost no bytes of the file.
_ROW_BYTES = 12 + 3 * MAX_LABELS
_TERM = pa.dictionary(pa.int32(), pa.string())
_TEXTS = {"categories": "categories.list.element", "language": "language"}
"""Name of a column of texts → the path of the column in the Parquet file."""


def path(first: int) -> str:
    """Return the path of a segment's label file in a bundle.

    Args:
        first: index of the segment's first leaf.
    """
    return f"labels/{first:012d}.parquet"


def write(leaf: Int64, rules: Int32, categories: pa.Array, language: pa.Array) -> bytes:
    """Build the content of a label file.

    Args:
        leaf: int64[n], indices of the leaves, ascending.
        rules: int32[n], bits of RULE_BITS.
        categories: n lists of texts, plain or dictionary-encoded.
        language: n texts or nulls, plain or dictionary-encoded.
    """
    given = {
        "leaf": pa.array(leaf, pa.int64()),
        "rules": pa.array(rules, pa.int32()),
        "categories": categories.cast(_LABEL),
        "language": language.cast(pa.string()),
    }
    sink = io.BytesIO()
    table = pa.table(list(given.values()), schema=SCHEMA)
    pq.write_table(
        table,
        sink,
        compression="zstd",
        use_dictionary=list(_TEXTS.values()),
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        store_schema=False,
    )
    return sink.getvalue()


def read(data: bytes, where: str, first: int, size: int) -> pa.Table:
    """Read and check a label file.

    Args:
        data: content of the label file.
        where: path of the file, for messages.
        first: index of the first leaf of its segment.
        size: number of leaves of the segment.

    Returns:
        The rows of the file as a table with dictionary-encoded texts.

    Raises:
        Refuted: reason `limit`: there are too many values. Reason `labels`: the file is not a Parquet file with these
            columns, a leaf is outside the segment, leaves are not ascending, a rule is unknown, or a text is empty or
            too long.
    """
    lists = {_TEXTS["categories"]: MAX_LABELS}
    plain, _ = size_limits.open_parquet(data, where, "labels", size, lists, _ROW_BYTES)
    if [(f.name, f.type) for f in plain.schema_arrow] != [(f.name, f.type) for f in SCHEMA]:
        names = ", ".join(plain.schema_arrow.names)
        raise Refuted("labels", where, f"expected columns {', '.join(SCHEMA.names)}, got {names}")
    coded = list(_TEXTS.values())
    file, _ = size_limits.open_parquet(data, where, "labels", size, lists, _ROW_BYTES, read_dictionary=coded)
    try:
        # One by one: Arrow cannot join the lists of several row groups while their texts are codes.
        groups = [file.read_row_group(group, use_threads=False) for group in range(file.num_row_groups)]
        table = pa.concat_tables(groups) if groups else file.schema_arrow.empty_table()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refuted("labels", where, f"expected a Parquet file: {error}") from None
    _check(table, where, first, size)
    return table


def _check(table: pa.Table, where: str, first: int, size: int) -> None:
    whole = all(table[f.name].null_count == 0 for f in SCHEMA if not f.nullable)
    texts = _texts(table)
    if not whole or texts["categories"].null_count:
        raise Refuted("labels", where, "expected leaf, rules and categories in every row, and no category that is null")
    leaf = table["leaf"].to_numpy()
    if len(leaf) and not (leaf[0] >= first and leaf[-1] < first + size and (np.diff(leaf) > 0).all()):
        wrong = np.flatnonzero((leaf < first) | (leaf >= first + size))
        shown = f", got leaf {leaf[wrong[0]]}" if len(wrong) else ""
        raise Refuted("labels", where, f"expected leaves {first} to {first + size - 1}, each once, ascending{shown}")
    rules = table["rules"].to_numpy()
    wrong = np.flatnonzero((rules < 0) | (rules & ~np.int32(ALL_BITS) != 0))
    if len(wrong):
        raise Refuted("labels", f"leaf {leaf[wrong[0]]}", f"expected bits of known rules, got {rules[wrong[0]]}")
    for name, column in texts.items():
        for text in column.dictionary.to_pylist():
            if text is None or not 0 < len(text) <= MAX_TEXT:
                raise Refuted("labels", f"{where}, {name}", f"expected texts of 1 to {MAX_TEXT} characters")


def _texts(table: pa.Table) -> dict[str, pa.DictionaryArray]:
    """Return the texts of the columns `categories` and `language`, in the order of the rows.

    A row has one language, but a list of categories. The categories of all rows are in one array.
    """
    flat = pa.chunked_array([one.flatten() for one in table["categories"].chunks], _TERM)
    return {"categories": _coded(flat), "language": _coded(table["language"])}


def _coded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    return column.unify_dictionaries().combine_chunks() if len(column) else pa.array([], _TERM)


@dataclass(slots=True)
class LogLabels:
    """Collects the labels of all leaves of a log, file by file.

    Attributes:
        size: number of leaves of the log.
        rules: int32[size], for each leaf the bits of the rules that may leave the leaf's vote out.
    """

    size: int
    rules: Int32 = field(init=False)
    _leaves: dict[tuple[str, str], list[npt.NDArray[Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rules = np.zeros(self.size, dtype=np.int32)

    def extend(self, table: pa.Table) -> None:
        """Add the rows of a label file, as `read` returned them."""
        if not len(table):
            return
        leaf = table["leaf"].to_numpy()
        self.rules[leaf] = table["rules"].to_numpy()
        leaf = leaf.astype(np.min_scalar_type(self.size))  # a vote may have many labels
        texts = _texts(table)
        lengths = pc.list_value_length(table["categories"]).to_numpy()
        self._add("category", texts["categories"], np.repeat(leaf, lengths))
        self._add("language", texts["language"], leaf)

    def _add(self, kind: str, texts: pa.DictionaryArray, leaf: npt.NDArray[Any]) -> None:
        codes: npt.NDArray[Any] = texts.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(texts.dictionary) + 1))
        for text, start, end in zip(texts.dictionary.to_pylist(), starts[:-1], starts[1:], strict=True):
            if end > start:
                self._leaves.setdefault((kind, text), []).append(leaf[order[start:end]])

    def selects(self, board: str) -> Bool:
        """Return which leaves have the label of a board by category or language, as bool[size].

        Args:
            board: name of the board, such as "category/coding".
        """
        kind, _, text = board.partition("/")
        found = np.zeros(self.size, dtype=np.bool_)
        for leaves in self._leaves.get((kind, text), ()):
            found[leaves] = True
        return found
