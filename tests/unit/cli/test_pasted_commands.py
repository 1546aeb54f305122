"""Commands in messages have the --store that the person gave, so that they can be pasted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import pipeline
from pipeline.cli.app import out
from pipeline.cli.commands import app
from pipeline.cli.pasted_commands import VERBS, remember_store, with_store
from pipeline.cli.terminal import print_paragraphs, styled
from tests.command import called, made_once

# Messages name `publish --to`, for the topics of a cluster, and `witness init`, for a folder.
WITHOUT_STORE = {"publish", "witness"}


@pytest.fixture
def given() -> Iterator[str]:
    remember_store("board.db")
    yield " --store board.db"
    remember_store(None)


def reads_store(verb: str) -> bool:
    command = made_once(app).get_command(typer.Context(made_once(app)), verb)
    parts = getattr(command, "commands", None) or {verb: command}
    return any("--store" in option.opts for one in parts.values() for option in one.params)


def test_the_completed_commands_are_those_with_a_store_that_messages_name() -> None:
    assert [verb for verb in VERBS if not reads_store(verb)] == []
    texts = [path.read_text() for path in Path(pipeline.__file__).parent.rglob("*.py")]
    named = {verb for text in texts for verb in re.findall(r"`integrity ([a-z][a-z-]*)", text)}
    known = set(made_once(app).list_commands(typer.Context(made_once(app))))
    assert {verb for verb in named & known - WITHOUT_STORE if reads_store(verb)} <= set(VERBS)


def test_a_command_in_a_sentence_or_on_a_line_gets_the_store(given: str) -> None:
    assert with_store("`integrity alerts` lists them, `integrity alerts show ID` tells one") == (
        f"`integrity alerts{given}` lists them, `integrity alerts show ID{given}` tells one"
    )
    assert with_store("done\n  integrity refresh\nintegrity incidents ack 01 --reason WHY") == (
        f"done\n  integrity refresh{given}\nintegrity incidents ack 01 --reason WHY{given}"
    )
    for kept in ("the integrity of alerts", "`integrity bench stream`", "integrity verify DIR --key K",
                 "`integrity alerts --store other.db`", "`integrity report FILE`"):  # fmt: skip
        assert with_store(kept) == kept


def test_a_store_with_spaces_is_quoted_and_a_password_is_not_shown() -> None:
    remember_store("my board.db")
    assert with_store("`integrity alerts`") == "`integrity alerts --store 'my board.db'`"
    remember_store("postgresql://ann:secret@host/board")
    assert "secret" not in with_store("`integrity alerts`")
    remember_store(None)
    assert with_store("`integrity alerts`") == "`integrity alerts`"


@pytest.mark.parametrize("terminal", [True, False])
def test_every_way_to_print_completes_commands(
    terminal: bool, given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(out, "_force_terminal", terminal)
    monkeypatch.setattr(out, "_width", 200)
    print_paragraphs(["see `integrity doctor`", "  integrity refresh"])
    out.print("see `integrity alerts`")
    out.print(styled(("error", "bold red"), ": see `integrity incidents`"))
    printed = capsys.readouterr().out
    for command in ("doctor", "refresh", "alerts", "incidents"):
        assert f"integrity {command}{given}" in printed


def test_an_error_names_the_store_of_its_own_command_line_only(tmp_path: Path) -> None:
    store = tmp_path / "board.db"
    settings = {"INTEGRITY_STORE": str(store), "INTEGRITY_PSEUDONYM_KEY": "00" * 32}
    assert called("migrate", settings=settings).returncode == 0
    with_option = called("incidents", "show", "--store", str(store), settings=settings)
    assert f"`integrity incidents --store {store}` lists them" in with_option.stderr
    from_settings = called("incidents", "show", settings=settings)
    assert "`integrity incidents` lists them" in from_settings.stderr
