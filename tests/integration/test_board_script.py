"""The script of a board in a real Chromium: the same rows and addresses as from the server, without asking it again."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from pipeline.store.votes import registry_events
from tests.integration.board_of_votes import OPTIONS, Board, event, using
from tests.integration.test_pages import RULES, SWITCHES

pytestmark = [pytest.mark.chromium, pytest.mark.long]
MODELS = [f"model-{k:02}" for k in range(57)] + ["<i>hostile</i>", "Über-1", "Große ΛΌΓΟΣ"]
PROVIDERS = ("Acme & Sons", "beta", "Ωmega")
SPACED = "Two  spaces"


def registered(board: Board) -> None:
    events = [
        {"schema": 1, "event_id": f"r{k}", "at": "2026-01-01T00:00:00Z", "type": "model.submitted", "model": name,
         "provider": SPACED if k == 59 else PROVIDERS[k % 3], "visibility": "public",
         "license": ("open", "proprietary")[k % 2]}
        for k, name in enumerate(MODELS)
    ]  # fmt: skip
    variants = [f"variant-{k}" for k in range(5)]
    common = {"provider": PROVIDERS[0], "visibility": "private", "license": "open"}
    claim: dict[str, Any] = {"model": MODELS[3], "benchmark": "exam"}
    more: list[dict[str, Any]] = [
        *({"type": "model.submitted", "model": name, **common} for name in variants),
        *({"type": "model.retracted", "model": name, "reason": "over"} for name in variants[1:]),
        {"type": "model.deprecated", "model": MODELS[5], "reason": "old"},
        {"type": "benchmark.claim", **claim, "score": 0.95, "source": "a note"},
        {"type": "benchmark.result", **claim, "score": 0.5, "n": 900, "evaluator": "a lab"},
    ]
    events += [{"schema": 1, "event_id": f"m{k}", "at": f"2026-01-{k + 2:02}T00:00:00Z", **one}
               for k, one in enumerate(more)]  # fmt: skip
    file = board.folder / "registry.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in events))
    with board.store() as store:
        registry_events.load_file(store, file)


def votes(first: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(first)
    pairs = [rng.choice(len(MODELS), 2, replace=False) for _ in range(1_200)]
    return [
        {**event(first + n), "model_a": MODELS[a], "model_b": MODELS[b],
         "winner": "model_a" if rng.random() < 1 / (1 + np.exp((a - b) / 15)) else "model_b"}
        for n, (a, b) in enumerate(pairs)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`integrity serve` over a board of 60 models, which are two pages."""
    folder = tmp_path_factory.mktemp("script")
    with using(OPTIONS):
        board = Board(str(folder / "board.db"), folder)
        for first in (0, 1_200):
            board.read(*votes(first))
            registered(board)
            board.refresh()
    environment = os.environ | {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key}
    words = [str(Path(sys.executable).with_name("integrity")), "serve", "--store", board.url, "--port", "0"]
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        yield found.group().rstrip("/")
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        yield browser
        browser.close()


@pytest.fixture
def both(browser: Browser, site: str) -> Iterator[tuple[Page, Page]]:
    """A page with JavaScript, of which any message fails the test, and one without."""
    quick = browser.new_context(base_url=site)
    plain = browser.new_context(base_url=site, java_script_enabled=False)
    page = quick.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    yield page, plain.new_page()
    quick.close()
    plain.close()
    assert messages == []


def shown(page: Page) -> dict[str, object]:
    """What a reader sees of the board: rows, order, number of models, pages."""
    text = {"rows": "table.board tbody tr", "number": "#shown", "pages": "nav.pages li", "order": "th[aria-sort]"}
    found: dict[str, object] = {name: page.locator(css).all_inner_texts() for name, css in text.items()}
    current = page.locator("nav.pages a[aria-current]").all_inner_texts()
    links = [page.locator(css).evaluate_all("all => all.map(one => one.getAttribute('href').replace('/?', '?'))")
             for css in ("th a[data-sort]", "nav.pages a", "#shown a", "nav#board a")]  # fmt: skip
    return found | {"current": current, "links": [[_plain(link) for link in of] for of in links]}


def _plain(link: str) -> str:
    return "?#board" if link in ("/#board", "?#board") else link


def same_as_from_the_server(quick: Page, plain: Page) -> dict[str, object]:
    plain.goto(quick.url)
    seen = shown(quick)
    assert seen == shown(plain)
    return seen


def settled(page: Page, css: str, text: str) -> None:
    page.locator(css).filter(has_text=text).first.wait_for()


def test_the_script_shows_what_the_server_would_and_asks_it_once(both: tuple[Page, Page]) -> None:
    quick, plain = both
    quick.goto("/")
    asked: list[str] = []
    quick.on("request", lambda request: asked.append(request.url))
    assert not quick.get_by_role("button", name="Show").is_visible()

    search = quick.get_by_role("searchbox")
    search.fill("MODEL-0")
    settled(quick, "#shown", "10 of 60 models.")
    assert quick.url.endswith("/?q=MODEL-0")
    same_as_from_the_server(quick, plain)
    search.fill("acme & s")
    settled(quick, "#shown", "20 of 60 models.")
    quick.locator("select[name=license]").select_option("open")
    settled(quick, "#shown", "10 of 60 models.")
    quick.locator("select[name=sort]").select_option("votes")
    quick.locator("th[aria-sort=descending]").wait_for()
    same_as_from_the_server(quick, plain)
    quick.get_by_role("link", name="Show all models").click()
    quick.locator("nav.pages").wait_for()
    assert quick.locator("table.board tbody tr").count() == 50
    same_as_from_the_server(quick, plain)

    for order in ("Model", "95% interval", "Moved", "Votes"):
        quick.locator("thead").get_by_role("link", name=order, exact=True).click()
        quick.locator("th[aria-sort]", has_text=order).wait_for()
        same_as_from_the_server(quick, plain)
    quick.locator("select[name=sort]").select_option("provider")
    quick.wait_for_url("**/?sort=provider*")
    same_as_from_the_server(quick, plain)
    quick.locator("nav.pages").get_by_role("link", name="Page 2").click()
    settled(quick, "nav.pages a[aria-current]", "2")
    assert quick.evaluate("document.activeElement.textContent") == "Page 2"
    assert len(same_as_from_the_server(quick, plain)["rows"]) == 10  # type: ignore[arg-type]
    quick.locator("nav.pages").get_by_role("link", name="All 60").click()
    settled(quick, "nav.pages a[aria-current]", "All 60")
    same_as_from_the_server(quick, plain)
    search.fill("no such model")
    settled(quick, "table.board tbody", "No model matches.")
    same_as_from_the_server(quick, plain)
    assert [url for url in asked if not url.endswith("/static/icon.svg")] == [f"{quick.url.partition('?')[0]}?page=0"]


def test_an_address_a_step_back_and_a_hostile_name_work_with_the_script(both: tuple[Page, Page]) -> None:
    quick, plain = both
    quick.goto("/?by=raw&q=model&provider=beta&sort=model")
    first = same_as_from_the_server(quick, plain)
    quick.locator("select[name=provider]").select_option("Ωmega")
    quick.wait_for_url("**provider=%CE%A9mega*")
    settled(quick, "table.board tbody", "Ωmega")
    same_as_from_the_server(quick, plain)
    assert "by=raw" in quick.url
    quick.go_back()
    settled(quick, "table.board tbody", "beta")
    assert (shown(quick), quick.locator("select[name=provider]").input_value()) == (first, "beta")
    quick.go_forward()
    settled(quick, "table.board tbody", "Ωmega")
    quick.goto("/")
    quick.get_by_role("searchbox").fill("<i>")
    settled(quick, "#shown", "1 of 60 models.")
    assert quick.locator("table.board i").count() == 0
    same_as_from_the_server(quick, plain)


def test_letters_without_their_case_and_spaces_are_those_of_the_server(both: tuple[Page, Page]) -> None:
    quick, plain = both
    quick.goto("/")
    for words in ("GROSSE", "große λόγος", "ΛΌΓΟΣ", "ÜBER"):
        quick.get_by_role("searchbox").fill(words)
        settled(quick, "#shown", "1 of 60 models.")
        same_as_from_the_server(quick, plain)
    quick.get_by_role("searchbox").fill("")
    quick.locator("select[name=provider]").select_option(SPACED)
    settled(quick, "#shown", "1 of 60 models.")
    same_as_from_the_server(quick, plain)


def test_another_view_of_what_was_found_is_a_click_away(both: tuple[Page, Page]) -> None:
    quick, plain = both
    quick.goto("/")
    quick.get_by_role("searchbox").fill("model-1")
    settled(quick, "#shown", "10 of 60 models.")
    quick.locator("nav#board").get_by_role("link", name="By raw rank").click()
    quick.wait_for_url("**by=raw&q=model-1*")
    settled(quick, "#shown", "10 of 60 models.")
    same_as_from_the_server(quick, plain)


def test_the_board_of_a_language_is_filtered_too(both: tuple[Page, Page]) -> None:
    quick, plain = both
    quick.goto("/?board=language/en")
    quick.get_by_role("searchbox").fill("model-2")
    settled(quick, "#shown", "10 of 60 models.")
    quick.locator("thead").get_by_role("link", name="Votes", exact=True).click()
    quick.locator("th[aria-sort=descending]").wait_for()
    same_as_from_the_server(quick, plain)
    assert "board=language%2Fen" in quick.url
    assert Axe().run(quick, options=RULES).response["violations"] == []


def test_the_board_is_ordered_by_keyboard_and_says_aloud_what_changed(both: tuple[Page, Page]) -> None:
    quick, _ = both
    quick.goto("/")
    link = quick.locator("thead").get_by_role("link", name="Votes", exact=True)
    link.focus()
    quick.keyboard.press("Enter")
    quick.locator("th[aria-sort=descending]").wait_for()
    assert quick.evaluate("document.activeElement.textContent") == "Votes"
    search = quick.get_by_role("searchbox")
    search.focus()
    quick.keyboard.type("model-1")
    status = quick.get_by_role("status")
    status.filter(has_text="10 of 60 models.").wait_for()
    assert quick.evaluate("document.activeElement.name") == "q"
    quick.keyboard.press("Enter")
    assert quick.evaluate("performance.getEntriesByType('navigation').length") == 1
    assert Axe().run(quick, options=RULES).response["violations"] == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_story_with_findings_is_accessible_and_fits_its_width(
    browser: Browser, site: str, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(base_url=site, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto("/variants")
    found = "private variants, claims that do not reproduce and models removed in silence"
    assert f"3 checks of 6 found something: {found}." in page.locator(".lead").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert Axe().run(page, options=RULES).response["violations"] == []
    page.close()


def test_without_its_rows_the_script_leaves_the_work_to_the_server(both: tuple[Page, Page]) -> None:
    quick, _ = both
    quick.route("**/?page=0", lambda route: route.fulfill(status=200, content_type="text/html", body="<p>no board</p>"))
    quick.goto("/")
    quick.locator("select[name=provider]").select_option("beta")
    quick.wait_for_url("**/?provider=beta#board")
    settled(quick, "#shown", "20 of 60 models.")


def test_a_board_runs_its_own_script_and_no_other_page_runs_any(both: tuple[Page, Page]) -> None:
    quick, plain = both
    answer = quick.goto("/")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'; connect-src 'self'" in policy
    assert "unsafe" not in policy
    scripts = quick.locator("script").evaluate_all("all => all.map(one => one.outerHTML)")
    assert scripts == ['<script src="/static/board.js" defer=""></script>']
    for path in ("/snapshots", "/model?model=model-01", "/sign-in", "/embed/board", "/api/v1/snapshots"):
        other = plain.goto(path)
        assert other is not None
        assert "script-src" not in other.headers["content-security-policy"], path
        assert plain.locator("script").count() == 0, path
