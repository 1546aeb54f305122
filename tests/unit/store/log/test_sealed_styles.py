"""Blocks of votes with style counts: with flags, and as earlier versions wrote them."""

import zlib

import numpy as np
import pyarrow as pa

from pipeline.compute import style_blocks
from pipeline.store.log import sealed_styles
from pipeline.vocabulary.vote_flags import FREQUENT_PROMPT, REFUSAL

STYLE = np.arange(10, dtype="<i4")
BATCH = pa.record_batch(
    {
        "offset": pa.array([3, 4, 5, 6]),
        "model_a": pa.array([1, 2, 3, 1], pa.int32()),
        "model_b": pa.array([2, 3, 1, 3], pa.int32()),
        "outcome": pa.array([0, 1, 2, 3], pa.int32()),
        "fate": pa.array([0, 1, 2, 0], pa.int32()),
        "style": pa.array([STYLE.tobytes(), (STYLE + 1).tobytes(), (STYLE + 2).tobytes(), None], pa.binary()),
        "flags": pa.array([0, REFUSAL, 0, 0], pa.int32()),
    }
)


def earlier(names: tuple[str, ...], tag: bytes, *, late: bool) -> bytes:
    """A block as an earlier version packed it."""
    block = sealed_styles.build_block(7, BATCH, late=late)
    return tag + zlib.compress(b"".join(np.ascontiguousarray(block[name]).tobytes() for name in names), 1)


OLD = ("position", "model_a", "model_b", "outcome", "style")


def test_a_block_has_counted_votes_with_style_and_their_flags() -> None:
    block = sealed_styles.build_block(7, BATCH)
    frequent = sealed_styles.pack_positions(np.array([7]), np.array([3]))
    packed = sealed_styles.pack([block], frequent)
    found = style_blocks.unpack(packed)
    assert found["position"].tolist() == [sealed_styles.pack_position(7, offset) for offset in (3, 4)]
    assert found["flags"].tolist() == [FREQUENT_PROMPT, REFUSAL]
    assert found["style"].tolist() == [STYLE.tolist(), (STYLE + 1).tolist()]
    assert style_blocks.has_late(packed)
    assert sealed_styles.matches([block], packed)
    changed = block.copy()
    changed["flags"][1] = 0
    assert not sealed_styles.matches([changed], packed)


def test_an_earlier_block_is_read_without_flags() -> None:
    with_late, without = earlier(OLD, b"L", late=True), earlier(OLD, b"", late=False)
    assert style_blocks.unpack(with_late)["flags"].tolist() == [0, 0]
    assert style_blocks.unpack(with_late)["outcome"].tolist() == [0, 1]
    assert style_blocks.unpack(without)["outcome"].tolist() == [0]
    assert (style_blocks.has_late(with_late), style_blocks.has_late(without)) == (True, False)
    assert sealed_styles.matches([sealed_styles.build_block(7, BATCH)], with_late)
    assert sealed_styles.matches([sealed_styles.build_block(7, BATCH, late=False)], without)
    assert style_blocks.unpack(None)["flags"].tolist() == []
