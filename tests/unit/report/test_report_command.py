"""`integrity report`: what it says of planted and of clean votes, what it never says, and how it is made again."""

import json
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.command import called
from tests.unit.report.planted_files import ATTACKS, write_votes

MARK = "SECRET"


def report(*words: str | Path) -> CompletedProcess[str]:
    return called("report", *map(str, words), settings={"COLUMNS": "80"})


def document(*words: str | Path) -> dict[str, Any]:
    done = report(*words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def sections(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in found["evidence"]}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, CompletedProcess[str]]]:
    """The file with an attack ("" for none), and its report with the seed 1, each made once."""

    @cache
    def made(name: str) -> tuple[Path, CompletedProcess[str]]:
        path = write_votes(tmp_path_factory.mktemp("planted") / "votes.jsonl", ATTACKS.get(name))
        return path, report(path, "--seed", "1", "--check", "--json")

    return made


def small(path: Path, **more: Any) -> Path:
    """Write 60 battles of three models, with more columns."""
    names = ("ant", "bee", "cat")
    rows = [
        {
            "model_a": names[k % 3], "model_b": names[(k + 1 + k // 30) % 3],
            "winner": ("model_a", "model_b", "tie", "model_a")[k % 4],
            **{name: value(k) if callable(value) else value for name, value in more.items()},
        }
        for k in range(60)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row for row in rows if row["model_a"] != row["model_b"]]), path)
    return path


Planted = Callable[[str], tuple[Path, CompletedProcess[str]]]


@pytest.mark.long
def test_nothing_is_found_in_clean_votes(planted: Planted) -> None:
    clean, done = planted("")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert not found["found"]
    assert found["answer"] == "with care"
    assert {name: one["found"] for name, one in sections(found).items() if one["accuses"]} == dict.fromkeys(
        ("voters", "fast_voters", "groups", "cohorts", "lockstep"), 0
    )
    assert len(found["verdict"]) == 5
    assert found["verdict"][2] == "No manipulation was found by 5 tests."
    assert found["records"] == sum(1 for _ in clean.open())
    assert found["votes"] == found["records"] - sum(found["method"]["left_out"].values())


@pytest.mark.long
@pytest.mark.parametrize("section", ATTACKS)
def test_an_attack_is_found_by_its_test(planted: Planted, section: str) -> None:
    done = planted(section)[1]
    assert done.returncode == 1, "with --check a finding is an exit status"
    found = json.loads(done.stdout)
    assert found["answer"] == "not as it stands"
    best = sections(found)[section]
    assert best["found"], [one["answer"] for one in found["evidence"]]
    finding = best["findings"][0]
    assert finding["odds"] > 100
    assert (best["title"].lower() in found["verdict"][2]) == (section != "share_bursts"), "a board may boost a model"
    if section != "fast_voters":
        assert "found in favour of m000" in found["verdict"][2]
    if section in ("groups", "share_bursts"):
        assert finding["subject"] == "m000"
    else:
        assert re.fullmatch(r"voter [2-9A-Z]{5}", finding["subject"])


@pytest.mark.long
def test_a_report_is_made_again_by_its_seed_and_another_seed_gives_other_labels(planted: Planted) -> None:
    path, first = planted("voters")
    given = json.loads(first.stdout)
    assert document(path, "--seed", "1") == given
    assert given["recompute"]["command"] == "integrity report votes.jsonl --seed 1"
    assert len(given["recompute"]["files"][0]["sha256"]) == 64
    fresh = document(path)
    assert fresh["recompute"]["seed"] != 1
    labels = [sections(one)["voters"]["findings"][0]["subject"] for one in (given, fresh)]
    assert labels[0] != labels[1]


@pytest.mark.long
def test_no_id_of_the_file_reaches_a_report(planted: Planted, tmp_path: Path) -> None:
    """Every private text of the file is marked; the members of a group are named by labels."""
    private = ("vote_id", "voter_id", "prompt_hash", "network", "session")
    lines = []
    for number, line in enumerate(planted("groups")[0].read_text().splitlines()):
        row = json.loads(line) | {"session": f"s{number // 3}"}
        lines.append(json.dumps(row | {name: MARK + str(row[name]) for name in private if name in row}))
    lines.insert(7, json.dumps({"schema": 1, "vote_id": MARK, "voter_id": [MARK], "winner": MARK}))  # a bad record
    path, page = tmp_path / "votes.jsonl", tmp_path / "report.html"
    path.write_text("\n".join(lines))
    spoken = report(path, "--skip-bad", "--seed", "1")
    assert spoken.returncode == 0, "a finding is an exit status only with --check"
    done = report(path, "--skip-bad", "--out", page, "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert sections(found)["groups"]["found"] == 1
    assert len(sections(found)["groups"]["findings"][0]["details"]["labels"]) >= 50
    assert found["left_out"]
    for text in (spoken.stdout, page.read_text(), done.stdout):
        assert MARK not in text
    assert str(tmp_path) not in page.read_text(), "folders may name a person"


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_hostile_names_are_text_in_a_page_that_loads_nothing(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>{{ 7*7 }}\"'"
    path = tmp_path / "votes.parquet"
    small(path)
    rows = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist([{k: evil if v == "ant" else v for k, v in row.items()} for row in rows]), path)
    page = tmp_path / "report.html"
    assert report(path, "--out", page).returncode == 0
    text = page.read_text()
    parsed = _Page(text)
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"img", "script", "link", "iframe", "object", "embed", "form", "base", "video", "audio", "image"}
    assert "&lt;img src=x" in text
    assert "{{ 7*7 }}" in text
    for tag, attributes in parsed.tags:
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")}, tag
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in text
    assert "@import" not in text
    policy = next(one["content"] for tag, one in parsed.tags if one.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.parametrize(
    ("more", "unchecked", "lacking"),
    [
        ({}, "the file names no voters", "voters, times, prompts, sessions, networks and turns"),
        ({"judge": lambda k: f"v{k % 12}"}, "the file has no times", "times, prompts, sessions, networks and turns"),
        (
            {"judge": "arena_user", "tstamp": lambda k: 1.7e9 + k, "turn": 1}, "the file names no voters",
            "voters, prompts, sessions and networks",
        ),
        ({"judge": "one", "tstamp": lambda k: 1.7e9 + 9e4 * k}, "the file names 1 voter only", "enough voters"),
    ],
)  # fmt: skip
def test_what_a_small_file_lacks_is_said(tmp_path: Path, more: dict[str, Any], unchecked: str, lacking: str) -> None:
    found = document(small(tmp_path / "votes.parquet", **more))
    assert any(one["why"].startswith(unchecked) for one in found["unchecked"]), found["unchecked"]
    assert {row["model"] for row in found["rows"]} == {"ant", "bee", "cat"}
    assert f"could not be answered, for want of {lacking}" in found["verdict"][4]


def test_several_files_are_one_and_none_counts_twice(tmp_path: Path) -> None:
    one, other = small(tmp_path / "one.parquet"), small(tmp_path / "other.parquet")
    alone, both = document(one), document(one, other)
    assert both["votes"] == 2 * alone["votes"]
    assert [file["name"] for file in both["recompute"]["files"]] == ["one.parquet", "other.parquet"]
    done = report(one, tmp_path / "*.parquet")
    assert done.returncode == 2
    assert "expected each file once, got one.parquet twice" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.csv"], "expected a file, a folder, a glob or -, got none.csv"),
        (["{file}", "--level", "1"], "--level: expected a number between 0 and 1"),
        (["{file}", "--out", "{folder}/report.pdf"], "expected a name that ends in .html"),
        (["{file}", "--out", "{folder}/none/report.html"], "expected a folder that exists"),
    ],
)
def test_wrong_words_are_named(tmp_path: Path, words: list[str], message: str) -> None:
    file = small(tmp_path / "votes.parquet")
    done = report(*(word.format(file=file, folder=tmp_path) for word in words))
    assert done.returncode == 2
    assert message in done.stderr


def test_a_file_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    file, page = small(tmp_path / "votes.parquet"), tmp_path / "report.html"
    page.write_text("mine")
    assert report(file, "--out", page).returncode == 2
    assert page.read_text() == "mine"
    assert report(file, "--out", page, "--force").returncode == 0
    assert page.read_text().startswith("<!doctype html>")


def test_a_file_without_a_rating_is_refused_as_by_rate(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("model_a,model_b,winner\nant,bee,model_a\nant,bee,model_a\n")
    done = report(path)
    assert done.returncode == 2
    assert done.stderr == called("rate", str(path), settings={"COLUMNS": "80"}).stderr
