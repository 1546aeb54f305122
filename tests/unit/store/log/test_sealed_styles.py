"""Blocks of votes with style counts: with flags, and as earlier versions wrote them."""

import sqlite3
import zlib

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from pipeline.compute import style_blocks
from pipeline.store.db import schema
from pipeline.store.log import sealed_styles
from pipeline.store.votes.packed_positions import pack_position, pack_positions
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
    frequent = pack_positions(np.array([7]), np.array([3]))
    packed = sealed_styles.pack([block], frequent)
    found = style_blocks.unpack(packed)
    assert found["position"].tolist() == [pack_position(7, offset) for offset in (3, 4)]
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


def test_a_part_may_have_more_segments_than_a_query_has_parameters() -> None:
    engine = sa.create_engine("sqlite://")
    blocks = [sealed_styles.build_block(7, BATCH.slice(at % 2, 1)) for at in range(200)]
    rest = {"root": "", "edge": b"", "sha256": "", "counts": b"", "at": 0}
    with engine.connect() as connection:
        schema.metadata.create_all(connection, [schema.segment, schema.segment_range])
        for at, block in enumerate(blocks):
            block["position"] = pack_position(7, at)
            packed = sealed_styles.pack([block]) if at % 5 else None
            row = {"segment_no": at + 1, "log_size": at + 1, "leaves": 1, "styles": packed, **rest}
            of_offsets = {"partition_no": 7, "first_offset": at, "next_offset": at + 1, "first_leaf": at}
            connection.execute(schema.segment.insert(), row)
            connection.execute(schema.segment_range.insert(), {"segment_no": at + 1, **of_offsets})
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 50)
        log = sealed_styles.read_log(connection, 150, without=[(7, 11), (7, 121), (7, 160)], first=3)
        (part,) = log.parts()
    expected = [at for at in range(3, 150) if at % 5 and at not in (11, 121)]
    assert part.read()["position"].tolist() == [pack_position(7, at) for at in expected]
    assert (part.first, part.end, len(part.without)) == (3, 150, 2)
