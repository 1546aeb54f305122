"""Texts are checked for identity leaks by column as record by record, in every form and kind of file."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.formats import piece_reader
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_records import read_by_record
from pipeline.formats.battle_tables import read_by_column
from pipeline.formats.identity_leaks import shipped_leak_check
from pipeline.formats.left_out import LeftOut
from pipeline.formats.piece_reader import pieces
from pipeline.formats.record_text import TEXT_COLUMNS
from tests.unit.stream.test_text_checks import FORMS, LEAK, OTHER

BY_COLUMN = sorted(FORMS.keys() - {"FastChat log", "own event"})


def rows(form: str) -> list[dict[str, Any]]:
    """Votes of which every third leaks, one has no text, and one is a model against itself."""
    found = [
        {**FORMS[form](LEAK if n % 3 == 0 else OTHER), "question_id": f"q{n}", "judge": f"j{n % 4}"} for n in range(12)
    ]
    stated = {"question_id", "model_a", "model_b", "winner", "judge", "tstamp"}
    found[5] = {key: value if key in stated else None for key, value in found[5].items()}
    found[7] = {**found[7], "model_b": found[7]["model_a"]}
    return found


def write(path: Path, form: str) -> Path:
    records = rows(form)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as text:
            writer = csv.DictWriter(text, list(records[0]))
            writer.writeheader()
            writer.writerows(
                {k: json.dumps(v) if isinstance(v, list) else v for k, v in one.items()} for one in records
            )
    elif path.suffix == ".json":
        path.write_text(json.dumps(records))
    else:
        data = "".join(json.dumps(one) + "\n" for one in records).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet", "csv", "jsonl.gz"])
@pytest.mark.parametrize("form", BY_COLUMN)
def test_leaks_are_found_by_column_as_record_by_record(
    tmp_path: Path, form: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piece_reader, "_TEXT_ROWS", 5)
    file = open_battles(write(tmp_path / f"votes.{kind}", form))
    left_out = LeftOut(), LeftOut()
    found = read_by_column(file, None, left_out[0], check=shipped_leak_check())
    expected = read_by_record(file, None, None, left_out[1], shipped_leak_check())
    assert found is not None
    assert found.flags["identity_leak"].tolist() == expected.flags["identity_leak"].tolist()
    assert found.flags["identity_leak"].tolist().count(1) == 4
    assert (found.voter.tolist(), found.outcome.tolist()) == (expected.voter.tolist(), expected.outcome.tolist())
    assert left_out[0].document() == left_out[1].document()


def test_what_a_vote_states_itself_stays(tmp_path: Path) -> None:
    vote = {"vote_id": "", "model_a": "gpt-4", "model_b": "b", "winner": "tie", "response_a": LEAK, "response_b": OTHER}
    votes = [{**vote, "vote_id": f"v{n}", "identity_leak": stated} for n, stated in enumerate((False, None, True))]
    path = tmp_path / "votes.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in votes))
    file = open_battles(path)
    found = read_by_column(file, check=shipped_leak_check())
    assert found is not None
    assert found.flags["identity_leak"].tolist() == [0, 1, 1]
    by_record = read_by_record(file, None, check=shipped_leak_check())
    assert by_record.flags["identity_leak"].tolist() == [0, 1, 1]


def test_texts_without_answers_state_nothing(tmp_path: Path) -> None:
    path = tmp_path / "votes.jsonl"
    record = {"question_id": "q", "model_a": "a", "model_b": "b", "winner": "tie", "judge": "j", "tstamp": 1.7e9}
    path.write_text(json.dumps({**record, "prompt": "Who are you?"}) + "\n")
    found = read_by_column(open_battles(path), check=shipped_leak_check())
    assert found is not None
    assert "identity_leak" not in found.flags


def test_conversations_are_read_beside_the_other_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of long texts makes no more pieces: each has the dictionaries of the other columns."""
    monkeypatch.setattr("pipeline.formats.bounded_parquet._PIECE", 2_000)  # a few conversations at a time
    rows = [
        {
            "model_a": f"m{k % 3}", "model_b": f"m{(k + 1) % 3}", "winner": "model_a", "judge": f"v{k}",
            "conversation_a": [{"role": "assistant", "content": f"I am GPT-4 {k}" if k % 4 == 0 else f"answer {k}"}],
            "conversation_b": [{"role": "assistant", "content": "another answer"}],
        }
        for k in range(400)
    ]  # fmt: skip
    path = tmp_path / "votes.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    file = open_battles(path)
    found = [list(piece.records(TEXT_COLUMNS)) for piece in pieces(file, ("voter_id",), TEXT_COLUMNS)]
    assert len(found) == 1
    assert [one["conversation_a"] for one in found[0]] == [row["conversation_a"] for row in rows]
    read = read_by_column(file, check=shipped_leak_check())
    assert read is not None
    assert read.flags["identity_leak"].tolist() == [int(k % 4 == 0) for k in range(400)]
