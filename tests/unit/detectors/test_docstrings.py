"""The docstring of a detector states formula, source, blind spot and false alarms, and its example holds."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

from pipeline import detectors
from pipeline.detectors import VOTER, WINDOW

modules = pytest.mark.parametrize("module", sorted({type(d).__module__ for d in (*VOTER, *WINDOW)}))


@modules
def test_a_detector_states_formula_source_blind_spot_and_false_alarms(module: str) -> None:
    text = importlib.import_module(module).__doc__ or ""
    for word in ("Formula:", "Source:", "Blind spot:", "False alarms"):
        assert word in text, f"{module} lacks: {word}"


@modules
def test_the_example_in_the_docstring_holds(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0


def test_every_module_of_the_package_is_a_listed_detector_or_a_part_of_one() -> None:
    listed = {type(d).__module__ for d in (*VOTER, *WINDOW)}
    # A detector imports its parts.
    modules_of = (vars(importlib.import_module(name)).values() for name in listed)
    parts = {
        one.__name__ if inspect.ismodule(one) else getattr(one, "__module__", "") for all_ in modules_of for one in all_
    }
    for found in pkgutil.walk_packages(detectors.__path__, "pipeline.detectors."):
        if not found.ispkg:
            package = found.name.rpartition(".")[0]
            is_part = f"{package}.detector" in listed or found.name in parts
            assert found.name in listed or is_part, f"{found.name} is in no list of __init__ and part of no detector"
