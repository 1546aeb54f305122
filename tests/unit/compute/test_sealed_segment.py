"""A segment by the paths of its files, and the counts of its votes."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from traceback import format_exception

import numpy as np
import pyarrow as pa
import pytest

from pipeline.compute import board_counts, ledger_place
from pipeline.compute.board_cells import ALL, Label
from pipeline.compute.sealed_segment import SealedSegment
from pipeline.compute.thread_runner import ThreadRunner
from pipeline.errors import Refuted, Unavailable
from pipeline.ledger import leaf, leaf_encoding, leaf_labels
from pipeline.ledger.segment import SegmentWriter


def written(folder: Path, first: int, votes: int, retracts: list[int], labels: bytes | None = None) -> SealedSegment:
    """A segment of votes of ant against bee, then of retractions."""
    hour = np.full(votes, 1_772_000_000_000_000, dtype=np.int64)
    zeros, models = np.zeros(votes, dtype=np.int64), [pa.array([name] * votes) for name in ("ant", "bee")]
    rows = leaf.vote_rows([f"v{first + n}" for n in range(votes)], hour, *models, zeros, zeros, bytes(32 * votes))
    if retracts:
        gone = leaf.retraction_rows(
            [f"v{n}" for n in retracts], np.full(len(retracts), hour[0]), retracts, ["r"] * len(retracts)
        )
        rows = pa.concat_tables([rows, gone]).unify_dictionaries()
    path = folder / f"{first}.parquet"
    with path.open("wb") as sink:
        writer = SegmentWriter(sink)
        writer.append(rows, leaf_encoding.hashes(rows))
        writer.close()
    digest = sha256(path.read_bytes()).hexdigest()
    if labels is None:
        return SealedSegment(first, len(rows), str(folder), path.name, digest, None, "")
    path.with_suffix(".labels").write_bytes(labels)
    of_labels = sha256(labels).hexdigest()
    return SealedSegment(first, len(rows), str(folder), path.name, digest, f"{first}.labels", of_labels)


def labels_of(leaves: list[int], rules: list[int], categories: list[list[str]], language: list[str | None]) -> bytes:
    columns = pa.array(categories, pa.list_(pa.string())), pa.array(language, pa.string())
    return leaf_labels.write(np.array(leaves), np.array(rules, dtype=np.int32), *columns)


def test_the_error_of_a_segment_reaches_the_caller() -> None:
    segments = [SealedSegment(at, 1, "/nowhere", "none", "", None, "") for at in range(3)]
    with pytest.raises(Unavailable, match="expected the ledger's file /nowhere/none"):
        list(ThreadRunner().map(partial(board_counts.count_segment, numbers={}), segments))


def test_segments_and_functions_can_be_sent_to_another_process(tmp_path: Path) -> None:
    segment, function = pickle.loads(  # noqa: S301  # our own bytes
        pickle.dumps((written(tmp_path, 0, 3, []), partial(board_counts.count_segment, numbers={"ant": 1, "bee": 2})))
    )
    found = pickle.loads(pickle.dumps(function(segment)))  # noqa: S301
    assert found.boards[ALL].rows().tolist() == [[1, 2, 0, 0, 0, 3]]


def test_a_retraction_takes_its_vote_back_on_every_board(tmp_path: Path) -> None:
    labels = labels_of([0, 2], [1, 0], [["code", "maths"], ["maths"]], [None, "de"])
    segments = [written(tmp_path, 0, 3, [], labels), written(tmp_path, 3, 1, [0, 1])]
    numbers = {"ant": 1, "bee": 2}
    (_, one), (_, other) = board_counts.recount(segments, numbers, [0, 1])
    assert {label: cells.rows().tolist() for label, cells in one.items()} == {
        ALL: [[1, 2, 0, 0, 0, 2], [1, 2, 0, 0, 1, 1]],
        Label("category", "code"): [[1, 2, 0, 0, 1, 1]],
        Label("category", "maths"): [[1, 2, 0, 0, 0, 1], [1, 2, 0, 0, 1, 1]],
        Label("language", "de"): [[1, 2, 0, 0, 0, 1]],
    }
    assert {label: cells.rows().tolist() for label, cells in other.items()} == {
        ALL: [[1, 2, 0, 0, 1, -1]],
        Label("category", "code"): [[1, 2, 0, 0, 1, -1]],
        Label("category", "maths"): [[1, 2, 0, 0, 1, -1]],
    }


def test_many_categories_are_counted_as_few_are(tmp_path: Path) -> None:
    lists = [[f"c{n}", f"c{n + 1}"] for n in range(0, 160, 2)]
    segment = written(tmp_path, 0, 80, [], labels_of(list(range(80)), [0] * 80, lists, [None] * 80))
    found = board_counts.count_segment(segment, {"ant": 1, "bee": 2}).boards
    assert found.keys() == {ALL, *(Label("category", f"c{n}") for n in range(160))}
    assert {int(cells.votes.sum()) for label, cells in found.items() if label != ALL} == {1}


def test_another_file_of_labels_is_refused(tmp_path: Path) -> None:
    segment = written(tmp_path, 0, 3, [], labels_of([0], [1], [[]], [None]))
    assert segment.labels is not None
    (tmp_path / segment.labels).write_bytes(labels_of([0], [2], [[]], [None]))
    with pytest.raises(Refuted, match="segment of leaves 0 to 2: expected labels with SHA-256"):
        segment.read_labels()


def test_another_file_of_leaves_is_refused(tmp_path: Path) -> None:
    """A copy of the ledger in an object store may have been changed, or be damaged."""
    segment = written(tmp_path, 0, 3, [])
    assert written(tmp_path, 0, 3, [1]).rows == segment.rows, "the file of the segment is another one now"
    with pytest.raises(Refuted, match=f"segment of leaves 0 to 2: expected leaves with SHA-256 {segment.rows_sha256}"):
        segment.read_rows()


def test_a_segment_is_read_from_an_address(tmp_path: Path) -> None:
    labels = labels_of([0], [1], [["code"]], [None])
    here = written(tmp_path, 0, 3, [], labels)
    there = replace(here, place=f"file://{tmp_path}")
    assert there.read_rows().equals(here.read_rows())
    assert there.read_labels().equals(here.read_labels())
    gone = replace(here, place=f"file://{tmp_path}/gone")
    with pytest.raises(Unavailable, match=f"expected the ledger's file file://{tmp_path}/gone/0.parquet, got: "):
        gone.read_rows()


@pytest.mark.parametrize("query", ["", "?region=eu-west-1"])
def test_a_key_in_an_address_is_in_no_message(query: str) -> None:
    place = f"s3://NAME:se/cr+et@bucket/ledger{query}"
    with pytest.raises(Unavailable) as caught:
        ledger_place.read_file(place, "a/b")
    assert f"expected the ledger's file s3://NAME:***@bucket/ledger/a/b{query}, got: " in str(caught.value)
    assert "se/cr+et" not in "".join(format_exception(caught.value))


def test_the_query_of_an_address_stays_at_its_end() -> None:
    assert ledger_place.join("s3://bucket/ledger/?region=eu", "a/b") == "s3://bucket/ledger/a/b?region=eu"
    assert ledger_place.join("/ledger?", "a") == "/ledger?/a"
