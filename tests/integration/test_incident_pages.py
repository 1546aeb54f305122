"""Incidents in a real Chromium without JavaScript: an operator finds, signs in, decides and undoes, by keyboard alone.

With INTEGRITY_SHOTS=FOLDER a screenshot of every page is saved there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from pipeline.api.app import create_app
from pipeline.store import Store
from pipeline.store.alerting import operators_log
from pipeline.store.db import schema
from tests.integration import incident_board
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.integration.incident_board import incidents, new_token
from tests.integration.test_pages import RULES, SWITCHES, WIDTHS


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with using(OPTIONS), incident_board.on_database(request, tmp_path).store() as opened:
        yield opened


@pytest.fixture
def site(store: Store) -> Iterator[str]:
    """`integrity serve` over the board with incidents."""
    environment = os.environ | {"INTEGRITY_VOTER_KEY": OPTIONS.voter_key, "INTEGRITY_ANCHOR": ""}
    words = [str(Path(sys.executable).with_name("integrity")), "serve", "--store", store.url, "--port", "0"]
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
def contexts(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[tuple[BrowserContext, ...]]:
    """A browser without JavaScript, and one with it, in which axe runs."""
    kind, scheme = request.param
    width, height = WIDTHS[kind]
    found = tuple(
        browser.new_context(
            viewport={"width": width, "height": height}, base_url=site, java_script_enabled=scripts, color_scheme=scheme
        )
        for scripts in (False, True)
    )
    yield found
    for context in found:
        context.close()


def looked_at(page: Page, inspector: Page, name: str) -> None:
    """Take a picture, and check what axe and a narrow screen find on the same page with the same session."""
    assert page.viewport_size is not None
    shots = os.environ.get("INTEGRITY_SHOTS")
    if shots:
        page.screenshot(path=f"{shots}/{name}-{page.viewport_size['width']}.png", full_page=True)
    inspector.context.clear_cookies()
    inspector.context.add_cookies(page.context.cookies())  # type: ignore[arg-type]
    inspector.goto(page.url)
    assert inspector.locator("h1").inner_text() == page.locator("h1").inner_text(), name
    assert page.locator("script:not([src='/static/board.js'])").count() == 0, name
    wide = inspector.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} is {wide} pixels too wide"
    found = Axe().run(inspector, options=RULES).response["violations"]
    assert [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found] == [], name


def reach(page: Page, role: str, name: str) -> None:
    """Move the focus to an element with the Tab key, and see that it is marked."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and focused.evaluate("(e, role) => e.matches(role)", role):
            text = focused.inner_text() or focused.get_attribute("name") or ""
            if re.search(name, text):
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
                return
    raise AssertionError(f"no {role} {name!r} is reached by Tab on {page.url}")


def press(page: Page, role: str, name: str) -> None:
    reach(page, role, name)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def write_token(page: Page, token: str) -> None:
    reach(page, "input", "token")
    page.keyboard.type(token)
    with page.expect_navigation():
        page.keyboard.press("Enter")


# The pages are the same over either database: each screen reads one of them.
@pytest.mark.chromium
@pytest.mark.long
@pytest.mark.parametrize(
    ("store", "contexts"),
    [("sqlite", ("desktop", "light")), pytest.param("postgres", ("phone", "dark"), marks=pytest.mark.postgres)],
    indirect=True,
    ids=["desktop-light", "phone-dark"],
)
def test_an_operator_finds_decides_and_undoes_by_keyboard_without_javascript(
    contexts: tuple[BrowserContext, ...], store: Store
) -> None:
    page, inspector = (one.new_page() for one in contexts)
    page.set_default_timeout(60_000)
    dog, token = incidents(store)["dog"]["id"], new_token(store, "ann", "alerts", "exclusions")
    page.goto("/")
    assert "open incidents" in page.locator("aside").inner_text()
    looked_at(page, inspector, "board-with-incidents")
    press(page, "a", "^4 open incidents$")
    looked_at(page, inspector, "incidents-public")
    press(page, "a", "lifted dog")
    assert page.url.endswith(f"/incidents/{dog}")
    assert "12 alerts" not in page.locator("ol.timeline").inner_text()
    looked_at(page, inspector, "incident-public")
    press(page, "a", "Operators sign in")
    looked_at(page, inspector, "sign-in")
    write_token(page, "integrity_wrong")
    assert "not valid" in page.get_by_role("alert").inner_text()
    write_token(page, token)
    assert page.url.endswith(f"/incidents/{dog}")
    assert "12 accounts on 1 network lifted dog" in page.locator("h1").inner_text()
    assert page.get_by_role("region", name="Accounts").get_by_role("row").count() == incident_board.SYBILS + 1
    looked_at(page, inspector, "incident-operator")
    reach(page, "input", "reason")
    page.keyboard.type("I look at it")
    press(page, "button", "Acknowledge")
    assert "is acknowledged" in page.get_by_role("status").inner_text()
    press(page, "a", "Leave out its votes")
    assert "60 votes go out" in page.locator("main").inner_text()
    looked_at(page, inspector, "preview")
    reach(page, "input", "reason")
    page.keyboard.type("bought")
    press(page, "button", "Leave out their votes")
    assert "ann left out 60 votes from 12 accounts" in page.locator("main").inner_text()
    looked_at(page, inspector, "incident-excluded")
    press(page, "a", "Count its votes again")
    reach(page, "input", "reason")
    page.keyboard.type("a mistake")
    press(page, "button", "Count again")
    assert "nothing is left out" in page.locator("main").inner_text()
    press(page, "a", "^[0-9a-f]{6}$")
    assert page.get_by_role("region", name="Votes").get_by_role("row").count() == incident_board.EACH + 1
    press(page, "a", f"^incident {dog}$")
    press(page, "button", "Sign out")
    assert "Operators sign in" in page.locator("main").inner_text()
    with store.read() as connection:
        log = [(one["action"], one["via"]) for one in operators_log.list_entries(connection, 20)]
    assert log == [("incident.restore", "page"), ("incident.exclude", "page"), ("incident.ack", "page"),
                   ("login", "page"), ("login.failed", "page")]  # fmt: skip


@pytest.mark.parametrize("store", incident_board.EITHER, indirect=True)
def test_the_page_of_a_model_names_every_incident_and_alert_about_it(store: Store) -> None:
    found = incidents(store)
    with TestClient(create_app(store)) as client:
        dog, ant = (client.get(f"/model?model={name}").text for name in ("dog", "ant"))
        listed = client.get("/alerts?subject=dog").text
    own = found["dog"]["alert_ids"]
    assert f'href="/incidents/{found["dog"]["id"]}"' in dog
    assert f'href="/incidents/{found["dog"]["id"]}"' in ant  # a victim of dog, as one of its alerts says
    assert sum(f'href="/alerts/{one}"' in dog for one in own) == incident_board.SYBILS + 1
    assert sum(f'href="/alerts/{one}"' in listed for one in own) == incident_board.SYBILS + 1
    assert sum(f'href="/alerts/{one}"' in ant for one in own) == 1
    assert "None." not in dog


def test_a_refresh_groups_alerts_so_that_no_monitor_is_needed_to_see_them(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        connection.execute(schema.incident.delete())
        connection.execute(schema.grouping.delete())
    with TestClient(create_app(store)) as client:
        assert "not grouped yet" in client.get("/incidents").text
    Board(store.url, tmp_path).refresh()
    with TestClient(create_app(store)) as client:
        assert "lifted dog" in client.get("/incidents").text
        assert client.get("/api/v1/incidents").json()["current"]
