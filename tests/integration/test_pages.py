"""The pages in a real Chromium: on a phone and a desktop, by keyboard, and along a reader's way from board to proof.

With INTEGRITY_SHOTS=FOLDER a screenshot of every page is saved there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from pipeline.api.app import create_app
from pipeline.ledger.bundle_archive import open_bundle
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.signed_note import VerifierKey
from pipeline.open_store import open_store
from tests.integration import readable

WIDTHS = {"phone": (390, 844), "desktop": (1280, 900)}
# No requests for updates, lists or safe browsing.
SWITCHES = (
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-domain-reliability", "--no-first-run", "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
# axe: the rules of WCAG 2.1 A and AA, and best practices.
RULES = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
PAGES = {
    "board": "/",
    "board-raw": "/?by=raw",
    "board-searched": "/?q=eta&sort=votes&page=0",
    "changes": "/changes",
    "changes-raw": "/changes?days=14&view=raw",
    "model": "/model?model=zeta",
    "model-hostile": "/model?model=%3Cb%3Eepsilon%3C%2Fb%3E",
    "battles": "/battles",
    "providers": "/providers",
    "provider": "/provider?provider=Acme+%26+Sons",
    "incidents": "/incidents",
    "sign-in": "/sign-in",
    "alerts": "/alerts",
    "exclusions": "/exclusions",
    "snapshots": "/snapshots",
    "verify": "/verify",
    "receipt": "/receipt?vote=v1-20",
    "api": "/api",
    "runbooks": "/runbooks",
    "runbook": "/runbooks/offset-gap",
    "compare": "/compare?a=zeta&b=gamma/7b",
    "compare-form": "/compare",
    "method": "/method",
    "variants": "/variants",
    "glossary": "/glossary",
    "share": "/share",
    "embed": "/embed/board",
    "nowhere": "/no/such/page",
}

# Pages whose address has a digest or an id: the page that links to one, and how the address begins.
LINKED = {
    "snapshot": ("/snapshots", "/snapshots/"),
    "variants-permanent": ("/variants", "/snapshots/"),
    "incident": ("/incidents", "/incidents/"),
    "alert": ("/alerts", "/alerts/"),
    "alert-voter": ("/alerts?about=voter", "/alerts/"),
}


def first_link(page: Page, path: str, begins: str) -> str:
    page.goto(path)
    return str(page.locator(f'main a[href^="{begins}"]').first.get_attribute("href"))


def linked_pages(page: Page) -> dict[str, str]:
    found = {name: first_link(page, *where) for name, where in LINKED.items()}
    return found | {"snapshot-board": f"{found['snapshot']}/board"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`integrity serve` over the small board."""
    folder = tmp_path_factory.mktemp("pages")
    url = str(folder / "board.db")
    readable.made(url, folder).close()
    environment = os.environ | {"INTEGRITY_VOTER_KEY": readable.OPTIONS.voter_key}
    words = [Path(sys.executable).with_name("integrity"), "serve", "--store", url, "--port", "0"]
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


@pytest.fixture(params=["desktop", pytest.param("phone", marks=pytest.mark.long)])
def page(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Page]:
    """A page of one width; any warning or error of the browser fails the test."""
    width, height = WIDTHS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, base_url=site)
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    yield page
    context.close()
    assert [one for one in messages if "404 (Not Found)" not in one] == []


@pytest.mark.chromium
@pytest.mark.long
def test_every_page_is_accessible_and_fits_its_width(page: Page) -> None:
    axe, wrong = Axe(), {}
    assert page.viewport_size is not None
    pages = PAGES | linked_pages(page)
    for name, path in pages.items():
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == (404 if name == "nowhere" else 200), name
        shots = os.environ.get("INTEGRITY_SHOTS")
        if shots:
            page.screenshot(path=f"{shots}/{name}-{page.viewport_size['width']}.png", full_page=True)
        assert page.locator("h1").count() == 1, name
        assert page.locator("script:not([src='/static/board.js'])").count() == 0, name
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} pixels too wide"
        found = axe.run(page, options=RULES).response["violations"]
        page.emulate_media(color_scheme="dark")
        if shots:
            page.screenshot(path=f"{shots}/{name}-{page.viewport_size['width']}-dark.png", full_page=True)
        found += axe.run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
        page.emulate_media(color_scheme="light")
        if found:
            wrong[name] = [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]
    assert wrong == {}


@pytest.mark.chromium
def test_every_link_is_reachable_by_keyboard(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    assert page.locator(":focus").bounding_box() is not None
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/#main")
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.locator(":focus").inner_text())
    assert any("Which models rose or fell" in text for text in reached)


@pytest.mark.chromium
def test_a_dark_screen_gets_a_dark_page_and_dark_charts_and_paper_a_light_one(page: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    page.goto("/model?model=zeta")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(background) == "rgb(18, 24, 31)"
    # Not `wait_for_function`: it evaluates a string in the page, which the page's policy forbids.
    dark = "[...document.images].every(one => one.complete && one.currentSrc.endsWith('theme=dark'))"
    deadline = time.monotonic() + 30
    while not page.evaluate(dark):
        assert time.monotonic() < deadline, "expected dark charts within 30 s"
        page.wait_for_timeout(50)
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert not page.get_by_role("navigation", name="Site").is_visible()


@pytest.mark.chromium
def test_names_are_escaped(page: Page) -> None:
    page.goto("/")
    board = page.get_by_role("region", name="The board as a table")
    assert board.get_by_role("link", name="<b>epsilon</b>").count() == 1
    assert page.locator("td b, th b").count() == 0
    board.get_by_role("link", name="gamma/7b").click()
    assert page.locator("h1").inner_text() == "gamma/7b"


@pytest.mark.chromium
def test_a_reader_finds_what_fell_and_why_and_verifies_the_bundle(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    page.get_by_role("link", name=re.compile("Which models rose or fell")).click()
    assert page.locator("h1").inner_text() == "Which models rose or fell, and why"
    fell = page.get_by_role("region", name="Clear moves").get_by_role("row", name=re.compile("zeta"))
    assert "by exclusions that were added or undone" in fell.inner_text()
    page.get_by_role("listitem").filter(has_text="an operator").get_by_role("link").click()
    assert "an honest voter" in page.locator("main").inner_text()
    page.get_by_role("navigation", name="Site").get_by_role("link", name="Snapshots").click()
    page.get_by_role("row").nth(1).get_by_role("link").first.click()
    key = re.search(r"--key '(\S+)'", page.locator("main").inner_text())
    assert key is not None
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the bundle").click()
    download.value.save_as(tmp_path / "bundle.zip")
    verified = verify_bundle(open_bundle(tmp_path / "bundle.zip"), [VerifierKey.parse(key.group(1))])
    assert verified.key_checked


@pytest.fixture
def other_site(site: str) -> Iterator[str]:
    """A page of another origin that shows pages and pictures of the site. A browser lets only a local one do so."""
    body = (
        f'<iframe name="table" src="{site}/embed/board"></iframe><iframe name="board" src="{site}/"></iframe>'
        f'<img id="badge" src="{site}/badges/board.svg"><img id="icon" src="{site}/static/icon.svg">'
    )

    class Embedding(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Embedding) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.chromium
def test_another_site_can_show_the_table_and_badges_and_no_other_page(browser: Browser, other_site: str) -> None:
    page = browser.new_context().new_page()
    page.goto(other_site, wait_until="load")
    table, board = page.frame("table"), page.frame("board")
    assert table is not None
    assert board is not None
    assert table.locator("tbody tr").count() > 0
    assert table.evaluate("getComputedStyle(document.body).fontSize") == "16px"
    assert board.locator("table").count() == 0
    shown = {name: page.evaluate(f"document.getElementById('{name}').naturalWidth > 0") for name in ("badge", "icon")}
    assert shown == {"badge": True, "icon": False}
    page.context.close()


@pytest.mark.chromium
@pytest.mark.long
def test_no_page_asks_another_host_and_each_says_the_same_without_javascript(browser: Browser, site: str) -> None:
    page = browser.new_context(base_url=site).new_page()
    plain = browser.new_context(base_url=site, java_script_enabled=False).new_page()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url))
    pages = [*PAGES.values(), *linked_pages(page).values()]
    for path in pages:
        page.goto(path)
        plain.goto(path)
        # With the script of the board, a form needs no button.
        told = [one.locator("body").inner_text().replace("\nShow\n", "\n").split() for one in (page, plain)]
        assert told[0] == told[1], path
    assert len(asked) > len(pages)
    assert [url for url in sorted(asked) if not url.startswith(f"{site}/")] == []
    page.context.close()
    plain.context.close()


@pytest.mark.chromium
@pytest.mark.long
def test_every_page_is_read_by_keyboard(browser: Browser, site: str) -> None:
    """The focus moves with each Tab, is drawn, and is on the screen: on the first 15 stops of every page."""
    page = browser.new_context(base_url=site, viewport={"width": 1280, "height": 900}).new_page()
    stop = """() => {
        const one = document.activeElement, box = one.getBoundingClientRect();
        const seen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
        const all = [...document.querySelectorAll("*")];
        return [all.indexOf(one), seen, getComputedStyle(one).outlineStyle, one.outerHTML.slice(0, 120)];
    }"""
    for path in PAGES.values():
        page.goto(path)
        visited: list[int] = []
        for _ in range(15):
            page.keyboard.press("Tab")
            place, seen, outline, what = page.evaluate(stop)
            if place in visited or what.startswith("<body"):
                break  # after the last one
            visited.append(place)
            assert (seen, outline) == (True, "solid"), (path, what)
        assert len(visited) > 1, path
        assert visited == sorted(visited), path
    page.context.close()


def test_every_page_is_among_those_that_are_tested() -> None:
    def walk(routes: list[Any]) -> Iterator[str]:
        for route in routes:
            if hasattr(route, "dependant") and "GET" in route.methods and not route.include_in_schema:
                yield route.path
            elif hasattr(route, "routes"):
                yield from walk(route.routes)

    with TemporaryDirectory() as folder, closing(open_store(f"{folder}/b.db", voter_key=readable.OPTIONS.key)) as store:
        paths = set(walk(create_app(store).routes))
    others = ("/api/v1/", "/static/", "/charts/", "/feeds/", "/badges/", "/cards/", "/empty")
    tested = {path.partition("?")[0] for path in PAGES.values()} | {
        "/snapshots/{snapshot}", "/snapshots/{snapshot}/board", "/snapshots/{snapshot}/variants/{events}",
        "/incidents/{incident}", "/alerts/{alert}", "/runbooks/{name}",
        # Redirects to one of these, where `/changes` leads, and what test_incident_pages.py looks at.
        "/snapshots/{snapshot}/variants", "/diff/{pair}", "/incidents/{incident}/{action}",
    }  # fmt: skip
    assert {path for path in paths if not path.startswith(others)} - tested == set()
