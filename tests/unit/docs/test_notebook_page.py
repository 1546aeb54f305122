"""The page about notebooks is true: its blocks run in their order, and the executed notebook still says the same.

`python -m tests.unit.docs.test_notebook_page` executes the notebook and stores it anew, after
a change of what reports say.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.command import called

ROOT = Path(__file__).parents[3]
VOTES, NOTEBOOK = (ROOT / "docs/assets" / name for name in ("example-votes.csv", "example.ipynb"))
PAGE = (ROOT / "docs/how-to/notebook.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
# As for every reader of the page: a store of the same votes.
STORE = {"INTEGRITY_VOTER_KEY": "ab" * 32, "INTEGRITY_BACKFILL": "off"}


def published(folder: Path) -> dict[str, Any]:
    """Publish a board of the example's votes in board.db; return what the command says of it."""
    store = str(folder / "board.db")
    for words in (["work", "--source", str(folder / "votes.csv"), "--until-end"], ["refresh"]):
        done = called(*words, "--store", store, "--json", settings=STORE)
        assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(called("leaderboard", "--store", store, "--json", settings=STORE).stdout)
    return shown


@pytest.mark.long
def test_the_blocks_of_the_page_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    shutil.copy(VOTES, tmp_path / "votes.csv")
    shown = published(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    assert len(BLOCKS) >= 8
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"block {number} of the page", "exec"), names)  # noqa: S102
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert plain(names["board"].rows) == shown["rows"]
    assert names["board"].snapshot == shown["snapshot"]
    said = capsys.readouterr().out
    for stated in (
        "the table, record 7: unknown_outcome: ",
        "1,518 records: 1,517 rated, 1 left out (unknown_outcome)",
    ):
        assert stated in PAGE
        assert stated in said
    assert names["votes"].account in PAGE


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def outputs(notebook: Any) -> list[Any]:
    """What the cells show as text, without the pictures and the addresses of objects."""
    return [
        {kind: text for kind, text in output.get("data", {"text/plain": output.get("text")}).items() if "text" in kind}
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]


def executed() -> Any:
    """The notebook, executed now."""
    fresh = nbformat.read(NOTEBOOK, 4)
    told = nbformat.from_dict(dict(fresh.metadata))
    NotebookClient(fresh, timeout=120, resources={"metadata": {"path": str(VOTES.parent)}}).execute()
    fresh.metadata = told
    for cell in fresh.cells:
        cell.metadata.pop("execution", None)
    return fresh


@pytest.mark.long
def test_the_executed_notebook_says_the_same_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    stored = nbformat.read(NOTEBOOK, 4)
    assert outputs(stored)
    assert outputs(executed()) == outputs(stored), "execute it anew: python -m tests.unit.docs.test_notebook_page"


def test_the_notebook_goes_from_file_to_report_to_plot_in_under_ten_lines() -> None:
    code = [cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    lines = [line for source in code[:3] for line in source.splitlines() if line]
    assert len(lines) < 10
    assert [word in "\n".join(lines) for word in (".report(", ".plot(")] == [True, True]


if __name__ == "__main__":
    nbformat.write(executed(), NOTEBOOK)
