"""Comparisons that read only new votes give what comparisons of all votes give."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs.custody import operator_actions
from pipeline.jobs.refresh import compared_snapshots
from pipeline.jobs.refresh.board_diff import BoardDiff, compare_snapshots
from pipeline.jobs.refresh.compared_snapshots import ComparedSnapshots
from pipeline.store.boards import exclusion_list, snapshots
from tests.integration.board_of_votes import OPTIONS, Board, event, using

METHOD = 'name = "labels"\n[rules]\nrefusal = true\n'


def style(n: int) -> dict[str, object]:
    counts = {name: (n * k) % 11 for k, name in enumerate(("tokens", "headers", "lists", "bold", "emoji"), 3)}
    return {"style_a": counts, "style_b": {**counts, "tokens": (n * 7) % 13}}


def votes(first: int, end: int) -> list[dict[str, object]]:
    """Votes with labels, refusals and style counts; the second hundred has a pair of models more often."""
    return [
        event(n, category=("R&D", "maths", None)[n % 3], refusal=n % 10 == 0, **(style(n) if n % 2 else {}))
        for n in range(first, end)
    ]


def compared(board: Board) -> tuple[list[BoardDiff], bool]:
    """The comparison of each view and board of the last two snapshots, and whether only new votes were read."""
    with board.store() as store, store.read() as connection:
        before, after = snapshots.read_published(connection)[-2:]
        names = [*after.body["views"], *(name for name in after.body["boards"] if name in before.body["boards"])]
        inputs = ComparedSnapshots.read(connection, store.files, before, after, names)
        found = [compare_snapshots(connection, store.files, before, after, name, inputs) for name in names]
        return found, inputs.chain is None


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store.db") if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


def test_new_votes_alone_give_the_comparison_of_all_votes(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = tmp_path / "method.toml"
    method.write_text(METHOD)
    options = OPTIONS.model_copy(update={"method": str(method)})
    with using(options):
        board = Board(url, tmp_path, options)
        board.read(*votes(0, 400))
        with board.store() as store, store.write() as connection:
            guilty = format_pseudonym(store.pseudonym("voter 5"))
            exclusion_list.add_entry(connection, "exclude", "voter", guilty, "asked to", "a person", 1)
            exclusion_list.add_entry(connection, "exclude", "vote", "vote 8", "a test", "a person", 2)
        board.refresh()
        board.read(*votes(400, 600))
        board.refresh()
        fast, only_new = compared(board)
        assert only_new
        assert {one.view for one in fast} > {"raw", "defended", "style", "category/R&D", "language/fr"}
        by_view = {one.view: one.votes for one in fast}
        assert by_view["raw"] == 200
        assert by_view["defended"] == 200 - 20 - sum(n % 30 == 5 and n % 10 != 0 for n in range(400, 600))
        with monkeypatch.context() as patch:
            patch.setattr(compared_snapshots, "differ_by_votes_only", lambda *_: False)
            slow, only_new = compared(board)
        assert not only_new
        assert fast == slow

        # What changes more than new votes reads all votes.
        operator_actions.retract(board.url, "vote 9", "cast by a test", "a person")
        board.refresh()
        assert not compared(board)[1]
        with board.store() as store, store.write() as connection:
            exclusion_list.add_entry(connection, "exclude", "vote", "vote 11", "a test", "a person", 3)
        board.refresh()
        assert not compared(board)[1]
