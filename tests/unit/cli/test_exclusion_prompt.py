"""The preview of a decision about exclusions, the question before it, and commands in a narrow terminal."""

from __future__ import annotations

import sys

import pytest
import typer

from pipeline.cli import exclusion_prompt
from pipeline.cli.app import err, out
from pipeline.cli.pasted_commands import remember_store
from pipeline.cli.terminal import print_paragraphs
from pipeline.jobs.exclusion_preview import ExclusionPreview, RankMove
from pipeline.store.boards.exclusion_effect import NextRefresh


def test_the_preview_begins_with_the_models_of_the_incident() -> None:
    moves = tuple(RankMove(f"m{n}", n + 1, n, 1.0, 1.0) for n in range(12))
    found = ExclusionPreview(NextRefresh(0, 274), 2, moves)
    (ranks,) = exclusion_prompt._details(found, 2, {"m11"})
    assert ranks.startswith("Ranks: m11 #12 to #11, m0 #1 to #0, m1 ")
    assert "and 4 more" in ranks
    (ranks,) = exclusion_prompt._details(found, 2, {"cedar"})
    assert "and 4 more; the rank of cedar does not change" in ranks


def test_a_refusal_says_that_nothing_changed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    with pytest.raises(typer.Exit) as refused:
        exclusion_prompt.confirm("incidents exclude", yes=False)
    assert refused.value.exit_code == 1
    assert "Nothing changed." in capsys.readouterr().err


def test_a_command_stays_on_one_line_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    remember_store(None)
    for console in (out, err):
        monkeypatch.setattr(console, "_force_terminal", True)
        monkeypatch.setattr(console, "_width", 40)
    command = "integrity incidents exclude e239e7d2 --reason WHY"
    print_paragraphs([f"  {command}", "some words " * 8])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"  {command}"
    assert max(map(len, shown[1:])) <= 40


@pytest.mark.parametrize(("mark", "indent"), [("-", 4), ("!!", 5), ("12.", 6)])
def test_further_lines_of_an_item_are_below_its_first_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mark: str, indent: int
) -> None:
    monkeypatch.setattr(out, "_force_terminal", True)
    monkeypatch.setattr(out, "_width", 40)
    print_paragraphs([f"  {mark} {'some words ' * 8}"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"  {mark} some words ")
    assert len(shown) > 2
    assert all(line.startswith(" " * indent + "some") or line.startswith(" " * indent + "words") for line in shown[1:])
    assert max(map(len, shown)) <= 40
