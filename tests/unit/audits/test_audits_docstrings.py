"""The examples in the audits' docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import pipeline.audits

MODULES = [info.name for info in pkgutil.iter_modules(pipeline.audits.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    module = importlib.import_module(f"pipeline.audits.{name}")
    assert doctest.testmod(module).failed == 0
