"""`integrity convert` writes a whole file or none, and says what it read, left out and wrote."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import CompletedProcess

import pyarrow.parquet as pq
import pytest

from tests.command import called

ROOT = Path(__file__).parents[3]
SMALL = ROOT / "tests/golden/small_votes.csv"
BAD = "model_a,model_b,winner,note\nant,bee,tie,x\nant,bee,nobody,y\nbee,ant,model_a,z\nant,ant,tie,z\n"


def convert(*words: str | Path) -> CompletedProcess[str]:
    return called("convert", *map(str, words), settings={"COLUMNS": "140"})


def rows_of(path: Path) -> list[dict[str, object]]:
    done = called("rate", str(path), "--json", settings={})
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)["rows"]
    return found


@pytest.mark.parametrize("to", ["vote", "table", "140k"])
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv.gz", ".tsv", ".parquet", ".parquet.zst"])
def test_a_converted_file_has_the_board_of_the_file_itself(tmp_path: Path, suffix: str, to: str) -> None:
    target = tmp_path / f"votes{suffix}"
    done = convert(SMALL, target, "--to", to)
    assert done.returncode == 0, done.stderr
    assert f"900 votes were written to {target}" in done.stderr
    assert rows_of(target) == rows_of(SMALL)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_the_document_says_what_was_read_left_out_and_written(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(BAD)
    done = convert(tmp_path / "bad.csv", tmp_path / "votes.jsonl", "--skip-bad", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["votes"], found["format"], found["to"]) == (3, "table", "vote")
    assert found["self_battles"] == 1
    assert found["unread_columns"] == ["note"]
    assert found["left_out"] == {"unknown_outcome": {"records": 1, "first": 1}}
    assert len((tmp_path / "votes.jsonl").read_text().splitlines()) == 3
    spoken = convert(tmp_path / "bad.csv", tmp_path / "votes.csv", "--skip-bad").stderr
    assert "columns that were not read: note" in spoken
    assert "1 record was left out: unknown_outcome" in spoken
    assert "battles of a model against itself among them, which no rating counts: 1" in spoken


def test_what_conversations_tell_is_kept_though_they_are_not(tmp_path: Path) -> None:
    said = [
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": text}] for text in ("I am GPT-4.", "Hi")
    ]
    battles = [
        {
            "model_a": "gpt-4",
            "model_b": "bee",
            "winner": winner,
            "conversation_a": said[n % 2],
            "conversation_b": said[1],
        }
        for n, winner in enumerate(["model_a", "model_b", "model_a", "tie", "model_b", "model_a"])
    ]
    (tmp_path / "battles.json").write_text(json.dumps(battles))
    done = convert(tmp_path / "battles.json", tmp_path / "votes.parquet")
    assert "read 6 battles with text, which was not written: 3 with an identity leak" in done.stderr
    assert pq.read_table(tmp_path / "votes.parquet")["identity_leak"].to_pylist() == [True, False] * 3
    assert rows_of(tmp_path / "votes.parquet") == rows_of(tmp_path / "battles.json")
    unread = convert(tmp_path / "battles.json", tmp_path / "unread.jsonl", "--no-text-checks")
    assert unread.returncode == 0
    assert "identity_leak" not in (tmp_path / "unread.jsonl").read_text()


def test_an_error_leaves_no_file_and_an_old_file_as_it_was(tmp_path: Path) -> None:
    source, target = tmp_path / "bad.csv", tmp_path / "votes.csv"
    source.write_text(BAD)
    done = convert(source, target)
    assert done.returncode == 2
    assert "bad.csv, record 1 (line 3): unknown_outcome" in done.stderr
    assert os.listdir(tmp_path) == ["bad.csv"]  # noqa: PTH208  # hidden files count too
    target.write_text("kept")
    assert convert(source, target, "--force").returncode == 2
    assert target.read_text() == "kept"


def test_an_existing_file_is_replaced_only_with_force(tmp_path: Path) -> None:
    target = tmp_path / "votes.csv"
    target.write_text("kept")
    done = convert(SMALL, target)
    assert (done.returncode, target.read_text()) == (2, "kept")
    assert "--force replaces it" in done.stderr
    assert convert(SMALL, target, "--force").returncode == 0
    assert rows_of(target) == rows_of(SMALL)


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    inside = tmp_path / "shards" / "a.csv"
    inside.parent.mkdir()
    inside.write_bytes(SMALL.read_bytes())
    for source in (inside, inside.parent, tmp_path / "shards" / "*.csv"):
        done = convert(source, inside, "--force")
        assert done.returncode == 2
        assert "expected an output file that is no input" in done.stderr
    assert inside.read_bytes() == SMALL.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((SMALL, "votes.xlsx"), "expected a name that ends in .json"),
        (("nowhere.csv", "votes.csv"), "expected a file, a folder, a glob or -"),
        ((SMALL, "no/such/folder/votes.csv"), "expected a folder that exists"),
        ((SMALL, "votes.csv", "--to", "xml"), "--to"),
        ((SMALL, "votes.csv", "--columns", "x"), "expected NAME=VALUE"),
    ],
)
def test_a_wrong_word_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = convert(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not [*tmp_path.iterdir()]


def test_a_folder_of_shards_and_a_users_names_are_converted(tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for n, choice in enumerate("LR"):
        (shards / f"{n}.csv").write_text(f"left,right,choice\nant,bee,{choice}\n")
    names = ("--columns", "model_a=left,model_b=right,winner=choice", "--outcomes", "L=model_a,R=model_b")
    done = convert(shards, tmp_path / "votes.jsonl", *names)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in (tmp_path / "votes.jsonl").read_text().splitlines()]
    assert [event["winner"] for event in events] == ["model_a", "model_b"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl.gz"])
def test_a_full_disk_is_no_crash_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))  # a file of more bytes is refused, as by a full disk
    try:
        done = convert(SMALL, tmp_path / f"votes{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.returncode == 3, done.stderr
    assert "expected room for" in done.stderr
    assert not [*tmp_path.iterdir()]


@pytest.mark.long
def test_standard_input_is_read_and_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    start = "from pipeline.cli.main import main; main()"
    command = [sys.executable, "-c", start, "convert", "-", str(tmp_path / "votes.csv")]
    done = subprocess.run(command, input=SMALL.read_bytes(), capture_output=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert rows_of(tmp_path / "votes.csv") == rows_of(SMALL)
    (tmp_path / "votes.csv").unlink()
    many = tmp_path / "many.jsonl"
    many.write_text(
        "".join(json.dumps({"model_a": "a", "model_b": "b", "winner": "tie", "id": n}) + "\n" for n in range(200_000))
    )
    command[-2] = str(many)
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    while running.poll() is None and not any(path.stat().st_size for path in tmp_path.glob(".votes.csv.*")):
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["many.jsonl"]
