"""A reader searches, filters, orders and pages a board by its address alone."""

from __future__ import annotations

import pytest

from pipeline.api.move_reasons import is_clear
from pipeline.api.pages.board_filter import BoardFilter, Line, Sort
from pipeline.api.pages.board_headline import leader


def line(number: int) -> Line:
    row = {"votes": number * 10, "lower": 0.0, "upper": 100.0 - number}
    provider = ("Acme", "beta", None)[number % 3]
    return {"model": f"model-{number:03d}", "provider": provider, "license": "open", "row": row, "moved": number % 5}


LINES = [line(number) for number in range(300)]


def names(lines: list[Line]) -> list[str]:
    return [one["model"] for one in lines]


def test_three_hundred_models_are_six_pages_and_together_all_of_them() -> None:
    wanted = BoardFilter()
    pages = [BoardFilter(page=number).on_page(LINES) for number in range(1, wanted.pages(300) + 1)]
    assert [len(one) for one in pages] == [50] * 6
    assert names([one for page in pages for one in page]) == names(LINES)
    assert names(BoardFilter(page=0).on_page(LINES)) == names(LINES)
    assert names(BoardFilter(page=1_000).on_page(LINES)) == names(pages[-1])
    assert BoardFilter(page=7).on_page([]) == []


def test_the_narrowest_interval_is_that_of_the_page() -> None:
    narrow, wide = line(1), line(2)
    narrow["row"] |= {"clustered_lower": 0.0, "clustered_upper": 200.0}
    wide["row"] |= {"clustered_lower": 0.0, "clustered_upper": 150.0}
    assert names(BoardFilter(sort="interval").choose([narrow, wide])) == ["model-002", "model-001"]
    narrow["row"] |= {"clustered_lower": None, "clustered_upper": None}
    assert names(BoardFilter(sort="interval").choose([wide, narrow])) == ["model-001", "model-002"]


def test_text_is_searched_in_names_and_providers_whatever_its_case() -> None:
    assert names(BoardFilter(q=" MODEL-29").choose(LINES)) == [f"model-29{n}" for n in range(10)]
    assert {one["provider"] for one in BoardFilter(q="BETA").choose(LINES)} == {"beta"}
    assert BoardFilter(q="model-001\n").narrows
    assert BoardFilter(q="%").choose(LINES) == []


def test_filters_are_exact_and_combine() -> None:
    found = BoardFilter(provider="Acme", license="open", q="-00").choose(LINES)
    assert names(found) == ["model-000", "model-003", "model-006", "model-009"]
    assert BoardFilter(provider="acme").choose(LINES) == []


@pytest.mark.parametrize(("sort", "first"), [("rank", 0), ("model", 0), ("provider", 0), ("votes", 299),
                                             ("interval", 299), ("moved", 4)])  # fmt: skip
def test_each_order_has_its_first_model(sort: Sort, first: int) -> None:
    assert names(BoardFilter(sort=sort).choose(LINES))[0] == f"model-{first:03d}"


def test_lines_without_a_provider_or_a_move_are_last() -> None:
    lost = {**LINES[0], "moved": None}
    assert BoardFilter(sort="moved").choose([lost, *LINES[1:]])[-1] is lost
    assert BoardFilter(sort="provider").choose(LINES)[-1]["provider"] is None


def test_a_link_states_what_differs_from_the_default_and_starts_at_the_first_page() -> None:
    assert BoardFilter().link() == "?#board"
    wanted = BoardFilter(q="a&b=<c>", sort="votes", page=3)
    assert wanted.link(provider="A & Sons") == "?q=a%26b%3D%3Cc%3E&provider=A+%26+Sons&sort=votes#board"
    assert wanted.link(page=2).endswith("sort=votes&page=2#board")


def row(model: str, best: int, worst: int, **more: float) -> dict[str, object]:
    return {"model": model, "rank_best": best, "rank_worst": worst, **more}


def test_the_leader_has_the_rivals_of_the_surest_rank_set() -> None:
    rows = [row("a", 1, 1, sure_best=1, sure_worst=2), row("b", 2, 3, sure_best=1, sure_worst=3),
            row("c", 2, 3, sure_best=2, sure_worst=3)]  # fmt: skip
    found = leader(rows)
    assert found is not None
    assert (found["basis"], found["worst"], found["rivals"]) == ("sure", 2, ["b"])
    alone = leader([row("a", 1, 1), row("b", 2, 2)])
    assert alone is not None
    assert (alone["basis"], alone["rivals"]) == ("own", [])
    behind = leader([row("a", 2, 3)])  # a model that is not listed is ahead
    assert behind is not None
    assert (behind["best"], behind["worst"]) == (2, 3)
    assert leader([]) is None


def test_a_move_is_clear_if_both_intervals_together_do_not_allow_for_it() -> None:
    def at(rating: float, half: float) -> dict[str, float]:
        return {"rating": rating, "lower": rating - half, "upper": rating + half}

    assert is_clear(at(0, 30), at(51, 40))
    assert not is_clear(at(0, 30), at(-49, 40))
