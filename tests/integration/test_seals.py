"""The counts that a refresh reads: those of the votes, at a cost that does not grow with the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from pipeline import jobs
from pipeline import settings as configuration
from pipeline.detectors import VOTER
from pipeline.errors import VerificationFailed
from pipeline.lab.simulate import HonestSpec, simulate_stream
from pipeline.open_store import open_store
from pipeline.settings import Settings
from pipeline.store import Store
from pipeline.store.db import schema
from pipeline.store.log import sealed_counts
from pipeline.stream.source import FileSource
from pipeline.stream.worker import Worker

SEGMENTS, VOTES = 7, 150
OPTIONS = Settings(voter_key="ab" * 32)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return str(request.getfixturevalue("postgres_store"))


@pytest.fixture
def sealed(url: str, tmp_path: Path) -> Iterator[Store]:
    """A log of several segments: files are read and sealed, one after the other."""
    made = simulate_stream(HonestSpec(votes=SEGMENTS * VOTES, seed=3))
    lines = list(made.to_bytes())
    with configuration.override(OPTIONS):
        store = open_store(url, voter_key=OPTIONS.key, worker=True)
        for segment in range(SEGMENTS):
            part = tmp_path / f"votes-{segment}.jsonl"
            part.write_bytes(b"\n".join(lines[segment * VOTES : (segment + 1) * VOTES]) + b"\n")
            Worker(FileSource(part), store, OPTIONS, VOTER, "test").run(until_end=True)
            assert jobs.seal(url) == (segment + 1) * VOTES
        yield store
        store.close()


def _from_votes(store: Store, log_size: int) -> np.ndarray:
    """Counted again, vote by vote, without the log."""
    v, r, s = schema.vote.c, schema.segment_range.c, schema.segment.c
    cells = (v.model_a, v.model_b, v.outcome, v.fate)
    query = (
        sa.select(*cells, sa.func.count())
        .join(
            schema.segment_range,
            (r.partition_no == v.partition_no) & (v.offset >= r.first_offset) & (v.offset < r.next_offset),
        )
        .join(schema.segment, s.segment_no == r.segment_no)
        .where(s.log_size <= log_size)
        .group_by(*cells)
        .order_by(*cells)
    )
    with store.read() as connection:
        return np.array([tuple(row) for row in connection.execute(query)], dtype=np.int64).reshape(-1, 5)


def test_counts_at_every_size_are_those_of_the_votes(sealed: Store) -> None:
    for segment in range(SEGMENTS + 1):
        with sealed.read() as connection:
            found = sealed_counts.read_counts(connection, segment * VOTES)
        assert np.array_equal(found.pairs, _from_votes(sealed, segment * VOTES))


def test_the_newest_counts_cost_one_row_however_many_segments(sealed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[int] = []
    plain = sealed_counts.unpack

    def counted(raw: bytes) -> sealed_counts.SealedCounts:
        unpacked.append(len(raw))
        return plain(raw)

    monkeypatch.setattr(sealed_counts, "unpack", counted)
    with sealed.read() as connection:
        sealed_counts.read_counts(connection, SEGMENTS * VOTES)
        assert len(unpacked) == 1
        sealed_counts.read_counts(connection, (SEGMENTS - 1) * VOTES)
        assert len(unpacked) == 3  # the sum, and the segment that came since


@pytest.mark.long
def test_a_log_without_a_total_computes_it_from_its_segments(sealed: Store, url: str, tmp_path: Path) -> None:
    with sealed.write() as connection:
        connection.execute(sa.delete(schema.sealed_total))
    with sealed.read() as connection:
        assert not sealed_counts.total_matches_segments(connection)
        found = sealed_counts.read_counts(connection, SEGMENTS * VOTES)
        assert np.array_equal(found.pairs, _from_votes(sealed, SEGMENTS * VOTES))
    more = tmp_path / "more.jsonl"
    more.write_bytes(b"\n".join(simulate_stream(HonestSpec(votes=40, seed=9)).to_bytes()))
    Worker(FileSource(more), sealed, OPTIONS, VOTER, "test").run(until_end=True)
    size = jobs.seal(url)
    with sealed.read() as connection:
        assert sealed_counts.total_matches_segments(connection)
        assert np.array_equal(sealed_counts.read_counts(connection, size).pairs, _from_votes(sealed, size))


@pytest.mark.long
def test_verify_finds_a_total_that_was_changed(sealed: Store, url: str) -> None:
    jobs.verify_ledger(url)
    with sealed.read() as connection:
        found = sealed_counts.read_counts(connection, SEGMENTS * VOTES)
    found.pairs[0, 4] += 1
    with sealed.write() as connection:
        connection.execute(sa.update(schema.sealed_total).values(counts=sealed_counts.pack(found)))
    with pytest.raises(VerificationFailed, match="the stored total of all segments"):
        jobs.verify_ledger(url)
