"""The examples in the docstrings of the pure packages hold; those of audits and detectors have tests of their own."""

import doctest
import importlib
import pkgutil

import pytest

PACKAGES = (
    "leaderboard_integrity",
    *(f"pipeline.{name}" for name in ("events", "evidence", "formats", "ledger", "ratings", "scoring", "vocabulary")),
)


def modules() -> list[str]:
    found = []
    for name in PACKAGES:
        package = importlib.import_module(name)
        found += [info.name for info in pkgutil.walk_packages(package.__path__, f"{name}.")]
    return [name for name in found if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
