"""Packages that load their names late have all of them, and say which name they lack."""

import ast
from importlib import import_module
from pathlib import Path

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


@pytest.mark.parametrize("name", LAZY)
def test_type_checkers_and_processes_find_the_same_names(name: str):
    package = import_module(name)
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    (checked,) = (one for one in tree.body if isinstance(one, ast.If) and ast.unparse(one.test) == "TYPE_CHECKING")
    homes = {one.name: f"{'.' * node.level}{node.module}" for node in checked.body for one in node.names}
    assert homes.keys() == set(package.__all__)
    assert [one for one in homes if getattr(import_module(homes[one], name), one) is not getattr(package, one)] == []
