"""Text to codes: every kind of column gives the same codes or the same error, by Arrow and value by value."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadCounts
from pipeline.ratings import encoding
from pipeline.ratings.encoding import encode_battles, encode_groups
from pipeline.vocabulary.outcomes import OUTCOMES

LEFT, RIGHT = ["bee", "ant", "bee", "owl"], ["ant", "owl", "owl", "bee"]
WINNER = ["model_b", "tie", "both_bad", "model_a"]

COLUMNS = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "numpy": np.array,
    "objects": lambda x: np.array(x, dtype=object),
    "pandas": pd.Series,
    "pandas objects": lambda x: pd.Series(x, dtype=object),
    "pandas with an index of its own": lambda x: pd.Series(x, index=range(7, 7 + len(x))),
    "categories": lambda x: pd.Series(x, dtype="category"),
    "categories that do not occur": lambda x: pd.Series(pd.Categorical(x, [*sorted(set(x), reverse=True), "zoo"])),
    "arrow": pa.array,
    "large arrow": lambda x: pa.array(x, type=pa.large_string()),
    "arrow view": lambda x: pa.array(x, type=pa.string_view()),
    "arrow in chunks": lambda x: pa.chunked_array([x[:1], x[1:3], x[3:]]),
    "arrow dictionaries in chunks": lambda x: pa.chunked_array(
        [pa.array(part).dictionary_encode() for part in (x[:1], x[1:])]
    ),
    "a chunk of nothing": lambda x: pa.chunked_array([pa.array(x[:0], type=pa.string()), x]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_of_column_gives_the_same_codes(kind: str) -> None:
    make = COLUMNS[kind]
    models, a, b, outcome = encode_battles(make(LEFT), make(RIGHT), make(WINNER))
    used = tuple(sorted({*LEFT, *RIGHT}))
    assert tuple(m for m in models if m != "zoo") == used
    assert [models[k] for k in a] == LEFT
    assert [models[k] for k in b] == RIGHT
    assert [OUTCOMES[k] for k in outcome] == WINNER
    assert a.dtype == b.dtype == outcome.dtype == np.int32


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.text(max_size=3), st.sampled_from(["ant", "bee"]), st.none(), st.integers(), st.floats()),
            st.one_of(st.text(max_size=3), st.sampled_from(["ant", "bee"])),
            st.one_of(st.sampled_from(OUTCOMES), st.sampled_from(["Tie", "", None, 1, "\ud800"])),
        ),
        max_size=8,
    )
)
def test_arrow_encoding_equals_value_by_value_encoding(rows) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    slow = _outcome(encoding._one_by_one, columns)
    assert _outcome(encode_battles, columns) == slow
    assert _outcome(encode_battles, [pd.Series(column, dtype=object) for column in columns]) == slow


def _outcome(function, columns):
    try:
        models, *codes = function(*columns)
    except BadCounts as error:
        return str(error).replace("None", "nan")
    return models, *(getattr(code, "codes", code).tolist() for code in codes)


@pytest.mark.parametrize("make", [list, pd.Series, lambda x: pa.array(x, from_pandas=True)])
def test_group_labels_are_sorted_and_nulls_have_no_code(make) -> None:
    labels, codes = encode_groups(make(["fr", None, "en", "fr"]), "language")
    assert labels == ("en", "fr")
    assert codes.tolist() == [1, -1, 0, 1]


def test_a_group_that_is_no_text_is_named() -> None:
    with pytest.raises(BadCounts, match="expected a text for language, got 3 at row 1"):
        encode_groups(["fr", 3], "language")
    assert encode_groups(["fr", float("nan"), "\ud800"], "language")[1].tolist() == [0, -1, 1]
    assert encode_groups([], "language")[1].tolist() == []


def test_empty_columns_are_an_empty_table() -> None:
    models, *codes = encode_battles([], [], [])
    assert models == ()
    assert [len(code) for code in codes] == [0, 0, 0]
