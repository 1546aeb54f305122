"""A short nemesis; `make nemesis` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.errors import Unavailable
from tests.conftest import give_up
from tests.faults import nemesis

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.timeout(600)]

SEED = 4


def test_a_minute_of_faults_at_random_breaks_no_promise(tmp_path: Path) -> None:
    for server in (KafkaServer(tmp_path), PostgresServer(tmp_path)):
        try:
            server.check()
        except Unavailable as error:
            give_up(str(error))
    result = nemesis.run(tmp_path / "run", SEED, votes=40_000, seconds=60)
    befallen = result["faults"]
    assert isinstance(befallen, dict)
    assert sum(befallen.values()) >= 6, f"expected faults, got {befallen}"
