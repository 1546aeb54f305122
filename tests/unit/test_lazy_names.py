"""Packages that load their names late have all of them, and say which name they lack."""

from importlib import import_module

import pytest

LAZY = (
    "pipeline.events",
    "pipeline.evidence",
    "pipeline.formats",
    "pipeline.jobs",
    "pipeline.ratings",
    "pipeline.stream.source",
)


@pytest.mark.parametrize("name", LAZY)
def test_a_package_has_every_name_that_it_exports(name: str):
    package = import_module(name)
    for exported in package.__all__:
        found = getattr(package, exported)
        assert vars(package)[exported] is found  # found without a call from now on


@pytest.mark.parametrize("name", LAZY)
def test_a_name_that_a_package_lacks_is_an_attribute_error(name: str):
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'absent'"):
        import_module(name).absent  # noqa: B018
