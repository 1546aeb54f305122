"""`work` stores the same votes from a converted file as from the file itself, and sees that it has them already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pipeline.store.db import schema
from tests.command import called
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.unit.formats.samples import FORMATS, battles

COLUMNS = (
    "vote_id", "voter", "cast_at", "outcome", "fate", "prompt", "voter_since", "style", "flags", "turn", "session",
)  # fmt: skip
NAMED = ("model_a", "model_b")
TERMS = ("language", "category", "network", "categories")


def work(board: Board, path: Path) -> dict[str, Any]:
    done = called("work", "--source", str(path), "--store", board.url, "--until-end", "--json", settings={})
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def stored(board: Board) -> list[tuple[Any, ...]]:
    """Every vote with all that is stored of it, names in place of numbers, sorted by id."""
    v, m, t = schema.vote.c, schema.model.c, schema.term.c
    with board.store() as store, store.read() as connection:
        models = {row.model_no: row.name for row in connection.execute(sa.select(m.model_no, m.name))}
        terms = {row.term_no: row.text for row in connection.execute(sa.select(t.term_no, t.text))}
        rows = connection.execute(sa.select(*(v[name] for name in (*COLUMNS, *NAMED, *TERMS))).order_by(v.vote_id))
        return [
            (*row[: len(COLUMNS)], *(models[row[-6 + k]] for k in range(2)), *(terms.get(n) for n in row[-4:]))
            for row in rows
        ]


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("FastChat battles", "vote"),
        ("arena-human-preference-100k", "140k"),
        ("arena-human-preference-100k", "vote"),
        ("compar:IA votes", "table"),
    ],
)
def test_a_converted_file_is_stored_as_the_file_itself(tmp_path: Path, name: str, to: str) -> None:
    source = tmp_path / "set.json"
    source.write_text(json.dumps([FORMATS[name](row) for row in battles(300)]))
    boards = {}
    with using(OPTIONS):
        for suffix in ("json", "parquet", "csv.gz"):
            folder = tmp_path / suffix
            folder.mkdir()
            boards[suffix] = Board(str(folder / "store.db"), folder)
            path = source if suffix == "json" else folder / f"votes.{suffix}"
            if path != source:
                done = called("convert", str(source), str(path), "--to", to, settings={})
                assert done.returncode == 0, done.stderr
            assert work(boards[suffix], path)["accepted"] == 300
        assert len(stored(boards["json"])) == 300
        for suffix in ("parquet", "csv.gz"):
            assert stored(boards[suffix]) == stored(boards["json"])
        again = work(boards["json"], tmp_path / "parquet" / "votes.parquet")
        assert again["accepted"] == 0
        assert again["conflicting"] == 0
