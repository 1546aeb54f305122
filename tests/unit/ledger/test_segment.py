"""Segments: the same rows give the same file."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ledger import leaf, leaf_encoding, segment
from tests.unit.ledger.board_operator import segment_file

VOTES = 900
CUTS = st.lists(st.integers(0, VOTES), max_size=6).map(sorted)


def rows(seed: int = 3) -> pa.Table:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 9, VOTES)
    return leaf.vote_rows(
        [f"v{i}" for i in range(VOTES)],
        1_767_225_600_000_000 + np.sort(rng.integers(0, 50 * 3_600_000_000, VOTES)),
        [f"m{i}" for i in a],
        [f"m{i}" for i in (a + 1 + rng.integers(0, 8, VOTES)) % 9],
        rng.integers(0, 4, VOTES),
        rng.integers(0, 3, VOTES),
        rng.bytes(32 * VOTES),
    )


def spelt(table: pa.Table) -> pa.Table:
    """Rows whose texts are coded anew, as a batch of their own codes them."""
    made = table.combine_chunks()
    for at, name in enumerate(made.column_names):
        if name in leaf.TERMS:
            plain = made[name].cast(pa.string()).combine_chunks()
            made = made.set_column(at, leaf.SCHEMA.field(name), pa.array(plain).dictionary_encode())
    return made


@settings(deadline=None, max_examples=40)
@given(cuts=CUTS)
def test_the_file_does_not_depend_on_how_rows_are_split(cuts: list[int]) -> None:
    whole = rows()
    hashes = leaf_encoding.hashes(whole)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr(segment, "GROUP", 250)
        expected = segment_file(whole, hashes)
        sink = io.BytesIO()
        writer = segment.SegmentWriter(sink)
        for start, end in zip([0, *cuts], [*cuts, VOTES], strict=True):
            writer.append(spelt(whole.slice(start, end - start)), hashes[32 * start : 32 * end])
        writer.close()
    assert sink.getvalue() == expected
    read, kept = segment.read(expected, "here")
    assert kept == hashes
    assert leaf_encoding.entries(read) == leaf_encoding.entries(whole)


def test_retractions_keep_their_order_among_votes() -> None:
    back = leaf.retraction_rows(["v3"], np.array([1_767_225_600_000_000]), [3], ["cast by a test"])
    sink = io.BytesIO()
    writer = segment.SegmentWriter(sink)
    writer.append(rows(), leaf_encoding.hashes(rows()))
    writer.append(back, leaf_encoding.hashes(back))
    writer.close()
    read, _ = segment.read(sink.getvalue(), "here")
    assert leaf_encoding.entries(read) == leaf_encoding.entries(rows()) + leaf_encoding.entries(back)
