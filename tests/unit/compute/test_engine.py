"""The names of engines, and the errors of INTEGRITY_COMPUTE."""

from __future__ import annotations

import sys

import pytest

from pipeline.compute.engine import Engine
from pipeline.compute.open_runner import open_runner
from pipeline.errors import Unavailable, Usage
from pipeline.settings import Settings


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("local", Engine()),
        ("processes", Engine("processes")),
        ("processes://3", Engine("processes", workers=3)),
        ("dask://", Engine("dask")),
        ("dask://scheduler.internal:8786", Engine("dask", "scheduler.internal:8786")),
        ("dask://[::1]:8786", Engine("dask", "[::1]:8786")),
        ("ray://10.0.0.2:10001", Engine("ray", "10.0.0.2:10001")),
        ("spark://", Engine("spark")),
    ],
)
def test_a_value_names_an_engine_and_the_engine_the_value(text: str, engine: Engine) -> None:
    assert Settings(compute=text).engine == engine
    assert str(engine) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "LOCAL", "local://", "local://2", "dask", "processes://", "processes://0", "processes://-1",
        "processes://2000", "processes://two", "dask://host", "dask://host:0", "dask://host:99999", "dask://:8786",
        "dask://user@host:1", "dask://host:8786/path", "dusk://host:8786", "tcp://host:8786", "spark://a b:1",
        "dask://host:8786\n",
    ],
)  # fmt: skip
def test_another_value_is_refused_by_name_with_what_is_expected(text: str) -> None:
    with pytest.raises(Usage) as caught:
        Settings(compute=text)
    message = str(caught.value)
    assert message.startswith("INTEGRITY_COMPUTE: expected local, processes, processes://N")
    assert message.endswith(f"got {text!r}")


@pytest.mark.parametrize(
    ("text", "module", "command"),
    [
        ("dask://", "distributed", "pip install 'leaderboard-integrity[compute]'"),
        ("ray://", "ray", "pip install 'ray[default]'"),
        ("spark://", "pyspark.sql", "pip install 'pyspark'"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    text: str, module: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Unavailable) as caught, open_runner(Engine.parse(text)):
        pass
    assert f"INTEGRITY_COMPUTE={text}: expected the package {module.partition('.')[0]}" in str(caught.value)
    assert command in str(caught.value)


def test_the_place_of_the_ledger_is_a_folder_or_an_address_that_can_be_read() -> None:
    for text in (
        "",
        "/mnt/ledger",
        "ledger",
        "s3://bucket/ledger?region=eu-west-1",
        "gs://bucket",
        "file:///mnt/ledger",
    ):
        assert Settings(compute_ledger=text).compute_ledger == text
    for text in ("http://host/ledger", "s3://", "ftp://x", "a\nb"):
        with pytest.raises(Usage) as caught:
            Settings(compute_ledger=text)
        assert str(caught.value).startswith("INTEGRITY_COMPUTE_LEDGER: expected a folder, or an address with one of")
        assert str(caught.value).endswith(f"got {text!r}")


def test_a_key_in_the_place_of_the_ledger_is_refused_and_not_shown() -> None:
    with pytest.raises(Usage, match="INTEGRITY_COMPUTE_LEDGER: expected an address without a key") as caught:
        Settings(compute_ledger="s3://name:hidden-text@bucket/ledger")
    assert "hidden-text" not in str(caught.value)
