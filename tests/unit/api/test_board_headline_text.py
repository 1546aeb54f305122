"""The first screen of a board tells one story of a model that votes had lifted: the incident, then the move."""

from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.api.pages.page_templates import PageTemplates


def _undone(places: int, *incidents: dict[str, Any]) -> str:
    parts: Any = PageTemplates()._environment.get_template("board_parts.html").module
    return str(parts.undone(SimpleNamespace(model="ant", places=places), incidents)).strip()


def _incident(name: str = "ant", effect: str = "lifted", left: int = 9, kind: str = "model") -> dict[str, Any]:
    return {"votes_left_out": left, "about": [{"kind": kind, "name": name, "effect": effect}]}


@pytest.mark.parametrize(
    ("places", "incident", "effect"),
    [
        (-9, _incident(), "lifted"),
        (9, _incident(effect="lowered"), "lowered"),
        (9, _incident(), ""),  # it rose: not because votes that had lifted it were excluded
        (-9, _incident(name="bee"), ""),
        (-9, _incident(left=0), ""),
        (-9, _incident(kind="provider"), ""),
        (-9, _incident(effect="more votes"), ""),
    ],
)
def test_a_move_is_told_as_the_end_of_an_incident_only_if_it_undoes_its_effect(
    places: int, incident: dict[str, Any], effect: str
) -> None:
    assert _undone(places, _incident(name="cat"), incident) == effect


def test_a_board_without_incidents_tells_only_the_cause_of_a_move() -> None:
    assert _undone(-9) == ""
