"""Foreign text (kind 1): one gate to the terminal, and nothing printed beside it."""

from __future__ import annotations

import ast
import csv
import io
import json
import logging
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Annotated

import pytest
import typer
from rich.table import Table

import pipeline
from pipeline.api.table_responses import json_response, to_csv
from pipeline.cli import commands, terminal
from pipeline.cli.app import app
from pipeline.cli.terminal import CRASHED, Terminal, styled
from pipeline.events.strict_checks import HIDDEN_CATEGORIES
from pipeline.ledger import verifier_command
from pipeline.vocabulary.export_text import csv_cell, markdown_text
from pipeline.vocabulary.visible_text import json_text, visible
from tests.command import called

ROOT = Path(pipeline.__file__).parents[1]
# The only module that may print; programs of the benchmark's peers run in an environment without this project.
GATE, BESIDE = ROOT / "pipeline/cli/terminal.py", ROOT / "pipeline/lab/bench/peers"
SOURCES = [
    path
    for folder in ("pipeline", "dags")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != GATE and BESIDE not in path.parents
]
ESCAPE = "\x1b[32mverified\x1b[0m"
NAMES = (
    "qwen [int4]", "alder [/q4]", "[/]", "[link=mailto:a@evil.example]x[/link]", "[conceal]x[/conceal]", ":smile:",
    "[bold red]wrong[/]", "\\[x]",
)  # fmt: skip
HIDDEN = (ESCAPE, "\x9b31m", "a\rb", "a\nb", "a\u202eb", "a\u200bb", "\ufeffa", "a\x00b", "a\ud800b", "a\U000e0041b")


# --- the gate


def test_hidden_are_all_characters_that_decoded_events_may_not_have() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    let_through = [c for c in every if unicodedata.category(c) in HIDDEN_CATEGORIES and visible(c) == c]
    assert let_through == []
    letters = [c for c in every if unicodedata.category(c)[0] in "LNPSM" and visible(c) != c]
    assert [f"{ord(c):04x}" for c in letters] == ["115f", "1160", "2800", "3164", "ffa0"], "letters without a picture"


@pytest.mark.parametrize("text", HIDDEN)
def test_json_text_is_the_same_value_without_a_hidden_character(text: str) -> None:
    written = json_text({text: [text]})
    assert written.isprintable()
    assert json.loads(written) == {text: [text]}


def printed(*things: object, width: int = 60) -> str:
    out = Terminal()
    out.file, out.width = io.StringIO(), width
    out.print(*things)
    return str(out.file.getvalue())


@pytest.mark.parametrize("name", NAMES)
def test_a_terminal_shows_names_as_they_are(name: str) -> None:
    table = Table(name, title=name)
    table.add_row(name)
    table.add_row(styled((name, "red")))
    assert printed(name) == f"{name}\n"
    assert printed(table).count(name) == 4


@pytest.mark.parametrize("text", HIDDEN)
def test_a_terminal_shows_hidden_characters_as_escapes(text: str) -> None:
    table = Table(text, title=text)
    table.add_row(text)
    table.add_row(styled((text, "red")))
    for shown in (printed(text), printed(table), printed(styled(text))):
        assert visible(text) in shown
        assert visible(shown, lines=True) == shown
    assert printed(text).count("\n") == 1, "a line break of foreign text began a line"


def test_a_long_line_is_one_line() -> None:
    assert printed("x " * 100) == "x " * 100 + "\n"
    assert printed(styled("x " * 100, ("y", "red"))) == "x " * 100 + "y\n"


def test_what_bypasses_strings_is_escaped_all_the_same() -> None:
    from rich.text import Text

    assert printed(Text(ESCAPE)) == f"{visible(ESCAPE)}\n"


def test_a_log_line_is_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(terminal._SafeFormatter("%(levelname)s %(message)s"))
    log = logging.Logger("a test")
    log.addHandler(handler)
    try:
        raise ValueError(ESCAPE)
    except ValueError:
        log.exception("next try: %s", "a\n" + ESCAPE)
    told = capsys.readouterr().err
    assert told.startswith(f"ERROR next try: a\\n{visible(ESCAPE)}\n")
    assert "\x1b" not in told


# --- nothing beside it


def guarded(node: ast.expr) -> bool:
    """Whether an expression is a constant, or foreign text that went through the gate."""
    match node:
        case ast.Constant():
            return True
        case ast.Call(func=ast.Name(id="visible" | "json_text") | ast.Attribute(attr="visible")):
            return True
        case ast.BinOp(left=left, right=right):
            return guarded(left) and guarded(right)
        case ast.JoinedStr(values=values):
            return all(guarded(value.value if isinstance(value, ast.FormattedValue) else value) for value in values)
    return False


def printing(path: Path) -> list[str]:
    """The calls of a module that print unguarded text, make a console, or let rich parse markup."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        prints = call == "print" or call in {
            f"sys.{stream}.{write}" for stream in ("stdout", "stderr") for write in ("write", "writelines")
        }
        forbidden = call in {
            "Console", "rich.print", "rich.console.Console", "Text", "Text.from_markup", "Text.from_ansi",
            "typer.echo", "typer.secho", "click.echo", "click.secho", "logging.StreamHandler",
        }  # fmt: skip
        parses = call == "TextColumn" and not any(k.arg == "markup" for k in node.keywords)
        marked = any(k.arg in {"markup", "emoji"} and ast.unparse(k.value) != "False" for k in node.keywords)
        rich = "rich" in path.read_text("utf-8") and marked
        if forbidden or parses or rich or (prints and not all(map(guarded, node.args))):
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {call}")
    return found


def test_no_module_prints_beside_the_gate() -> None:
    assert [line for path in SOURCES for line in printing(path)] == []


@pytest.mark.parametrize(
    "line", ["print(name)", "sys.stderr.write(f'{fault}')", "Console()", "Text.from_markup(x)", "typer.echo(x)"]
)
def test_the_check_finds_every_way_to_print(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "module.py").write_text(line)
    assert len(printing(tmp_path / "module.py")) == 1


# --- help, usage errors, crashes


def test_a_help_string_may_have_any_bracket(capsys: pytest.CaptureFixture[str]) -> None:
    one = typer.Typer(rich_markup_mode=app.rich_markup_mode)

    @one.command(help="kafka://HOST:PORT[/TOPIC] [/] [bold]x[/bold]")
    def command(value: Annotated[str, typer.Option(help="FILE or kafka://HOST[/TOPIC]")] = "") -> None:
        """Do nothing."""

    assert one(["--help"], standalone_mode=False) == 0
    assert "HOST:PORT[/TOPIC] [/] [bold]x[/bold]" in " ".join(capsys.readouterr().out.split())


def command_lines() -> list[list[str]]:
    """Every command and subcommand, from the application."""

    def below(command: object, words: list[str]) -> list[list[str]]:
        children = getattr(command, "commands", {})
        return [words, *(line for name, child in children.items() for line in below(child, [*words, name]))]

    return below(typer.main.get_command(app), [])


@pytest.mark.parametrize("words", command_lines(), ids=" ".join)
def test_every_help_is_shown(words: list[str]) -> None:
    assert commands.app is app
    answer = called(*words, "--help", settings={})
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "Usage:" in answer.stdout
    if words == ["alerts"]:
        assert "[,model=…][,cohort=new]" in "".join(answer.stdout.split()), "brackets of a help string are no markup"


@pytest.mark.parametrize("text", [*NAMES, *HIDDEN[:6]])
def test_a_usage_error_shows_the_word_as_it_is(text: str) -> None:
    answer = called("rate", text, settings={})
    assert answer.returncode == 2
    assert visible(text) in answer.stderr
    assert visible(answer.stderr, lines=True) == answer.stderr
    unknown = called(f"--{text}", settings={})
    assert unknown.returncode == 2
    assert visible(unknown.stderr, lines=True) == unknown.stderr
    action = called("alerts", text, settings={})
    assert action.returncode == 2
    assert visible(action.stderr, lines=True) == action.stderr


@pytest.mark.long
def test_an_unexpected_error_exits_70() -> None:
    program = (
        "import sys\n"
        "from pipeline.cli.app import JsonOption, app\n"
        "from pipeline.cli.main import main\n"
        "@app.command()\n"
        "def crash(as_json: JsonOption = False) -> None:\n"
        "    raise RuntimeError('\\x1b[31m [/] broken')\n"
        "sys.argv = ['integrity', 'crash', '--json']\n"
        "main()\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == CRASHED == 70
    assert "Traceback" in run.stderr
    assert "\\x1b[31m [/] broken" in run.stderr
    assert "\x1b" not in run.stderr
    assert "RuntimeError" in json.loads(run.stdout)["message"]


def test_the_verifier_shows_the_names_of_a_zip_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import zipfile

    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"x/{ESCAPE} [/]", b"")
    assert verifier_command.run([str(path)]) == 4
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert f"{visible(ESCAPE)} [/]" in told
    assert called("verify", str(path), settings={}).returncode == 4
    with pytest.raises(SystemExit) as end:
        verifier_command.run([str(path), f"--{ESCAPE}"])
    assert end.value.code == 2
    assert "\x1b" not in capsys.readouterr().err


def test_a_crash_of_the_verifier_exits_70(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(ESCAPE)

    monkeypatch.setattr(verifier_command.verifier_input, "open_path", fail)
    with pytest.raises(SystemExit) as end:
        verifier_command.main(["nothing.zip"])
    assert end.value.code == 70
    assert "\x1b" not in capsys.readouterr().err


# --- exports


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_cell_that_a_spreadsheet_executes_gets_an_apostrophe(text: str) -> None:
    assert csv_cell(text).startswith("'")
    assert to_csv([{"name": text, "points": -1.5}]).decode().splitlines()[1].startswith(("'", "\"'"))
    assert csv_cell(-1.5) == -1.5


def test_rate_writes_no_formula_and_no_brackets_are_lost(tmp_path: Path) -> None:
    names = ["=cmd()", "qwen [int4]", "alder [/q4]"]
    votes = [
        {"model_a": a, "model_b": b, "winner": w, "id": f"{n}{a}{b}"}
        for n in range(2)
        for a in names
        for b in names
        for w in ("model_a", "tie")
        if a != b
    ]
    file, saved = tmp_path / "[bold] votes.jsonl", tmp_path / "board.csv"
    file.write_text("".join(json.dumps(vote) + "\n" for vote in votes))
    answer = called("rate", str(file), "--out", str(saved), settings={"COLUMNS": "200"})
    assert answer.returncode == 0, answer.stderr
    for name in names:
        assert name in answer.stdout
    assert "[bold] votes.jsonl" in answer.stdout
    rows = list(csv.DictReader(io.StringIO(saved.read_text())))
    assert {row["model"] for row in rows} == {"'=cmd()", "qwen [int4]", "alder [/q4]"}


@pytest.mark.parametrize(
    "text", ["https://evil.example", "www.evil.example", "@team", "a@b.example", "#12", "[x](http://y)", "<b>", "a|b"]
)
def test_markdown_neither_links_nor_mentions(text: str) -> None:
    written = markdown_text(text)
    assert written != text
    assert text not in written


def test_an_answer_of_the_api_has_no_hidden_character() -> None:
    body = bytes(json_response({"name": [*HIDDEN]}).body).decode()
    assert body.isprintable()
    assert json.loads(body) == {"name": [*HIDDEN]}


# --- files of other boards


def test_history_shows_names_with_brackets_and_finds_the_fall(tmp_path: Path) -> None:
    file = tmp_path / "board.csv"
    file.write_text(
        "snapshot,board,model,arena_score,95_pct_ci,votes\n"
        "2024-06-01,txt,alder [/q4],1200,+5/-4,1000\n"
        "2024-07-01,txt,alder [/q4],1201,+5/-4,900\n"
    )
    answer = called("history", str(file), settings={"COLUMNS": "200"})
    assert answer.returncode == 1, answer.stderr
    assert "alder [/q4]" in answer.stdout
    assert "1,000" in answer.stdout
    assert "900" in answer.stdout
