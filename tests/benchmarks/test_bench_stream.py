"""`bench stream` measures what it says: small here, so its figures mean nothing, but each is there and adds up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.errors import Unavailable
from tests.services import give_up

INTEGRITY = Path(sys.executable).with_name("integrity")


@pytest.mark.long
@pytest.mark.kafka
@pytest.mark.postgres
def test_one_run_gives_every_rate_with_its_ratio_its_bar_and_its_memory(tmp_path: Path) -> None:
    for server in (KafkaServer(tmp_path), PostgresServer(tmp_path)):  # the command starts its own
        try:
            server.check()
        except Unavailable as error:
            give_up(str(error))
    done = subprocess.run(
        [INTEGRITY, "bench", "stream", "--votes", "12000", "--batch", "1000", "--file-votes", "6000", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert (result["votes"], result["cores"]) == (12_000, os.cpu_count())
    bare = result["bare_loop"]["rate"]
    for name, of in (
        ("postgresql", bare),
        ("sqlite", result["sqlite"]["executemany"]),
        ("two_workers", result["postgresql"]["rate"]),
    ):
        one = result[name]
        assert one["ratio"] == pytest.approx(one["rate"] / of, rel=0.01)
        assert one["met"] in (
            {one["ratio"] >= one["bar"], None} if name == "two_workers" else {one["ratio"] >= one["bar"]}
        )
    for name in ("bare_loop", "postgresql", "postgresql_no_detectors", "sqlite"):
        assert 50 < min(result[name]["memory_mb"]) <= max(result[name]["memory_mb"]) <= result[name]["peak_mb"] + 1
