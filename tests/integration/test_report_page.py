"""The page of a report in a real Chromium: on a phone and a desktop, light and dark; it asks nobody for anything."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from tests.command import called
from tests.integration.test_pages import SWITCHES


def _page(folder: Path) -> Path:
    """Write the page of a board of 40 models with long names."""
    names = [f"model-{k:02d}-{'instruct-' * (k % 5)}v{k}" for k in range(40)]
    draw = np.random.default_rng(3)
    a, b, who, outcome = (draw.integers(0, most, 4_000).tolist() for most in (40, 40, 90, 3))
    rows = [
        {"model_a": names[a[k]], "model_b": names[b[k]], "judge": f"v{who[k]}",
         "winner": ("model_a", "model_b", "tie")[outcome[k]], "tstamp": 1.7e9 + 900.0 * k}
        for k in range(4_000)
    ]  # fmt: skip
    file = folder / "votes.parquet"
    pq.write_table(pa.Table.from_pylist([row for row in rows if row["model_a"] != row["model_b"]]), file)
    done = called("report", str(file), "--out", str(folder / "report.html"), "--seed", "1", settings={})
    assert done.returncode == 0, done.stderr
    return folder / "report.html"


@pytest.mark.chromium
@pytest.mark.long
def test_the_page_of_a_report_is_usable_and_loads_nothing(tmp_path: Path, chromium: str) -> None:
    file = _page(tmp_path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))
        for width, scheme in ((1280, "light"), (390, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
            asked: list[str] = []
            said: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("console", lambda message, said=said: said.append(message.text))
            page.goto(file.as_uri())
            assert asked == [file.as_uri()]
            assert said == [], "the policy of the page allows its own style"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            assert page.locator("h1").inner_text() == "Can this board be trusted?"
            assert page.locator("#board tbody tr").count() == 40
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(17, 23, 29)")
            assert [one["id"] for one in Axe().run(page).response["violations"]] == []
            page.close()
        browser.close()
