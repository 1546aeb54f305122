"""The copy of a ledger in a real S3 server, written through its own door and read by a worker of a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.compute.ledger_place import read_file
from pipeline.devstack.stack_state import free_ports
from pipeline.errors import Unavailable
from pipeline.jobs.custody.ledger_copy import copy_ledger
from tests.integration.board_of_votes import OPTIONS, copied_board, using
from tests.services import give_up

pytestmark = pytest.mark.stack

KEY, SECRET = "reader", "only-for-this-test"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket `public` of a server that has just started."""
    program = shutil.which("versitygw", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        give_up("expected versitygw on PATH, got none: run `make versitygw`")
    for name, value in (("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # nobody answers there, and the client would wait
    (tmp_path / "buckets" / "public").mkdir(parents=True)
    port = free_ports(["s3"])["s3"]
    keys = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET}
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [program, "--port", f"127.0.0.1:{port}", "posix", str(tmp_path / "buckets")],
            env=os.environ | keys, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            answers(port, server)
            yield f"s3://public/board?scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
        finally:
            server.terminate()
            server.wait(30)


def answers(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        except urllib.error.HTTPError:
            return  # it answers: 403 to somebody without a key
        except OSError:
            time.sleep(0.1)
    pytest.fail("expected the S3 server to answer, got nothing")


def test_a_ledger_is_copied_to_an_object_store_and_read_from_there(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with using(OPTIONS):
        board = copied_board(tmp_path / "board" / "store.db", 300)
        first = copy_ledger(board.url, bucket, bundle=True)
        assert first["files"] > 0
        board.vote(400)
        board.refresh()
        again = copy_ledger(board.url, bucket)
        assert again["files"] > 0
        assert (again["votes"], again["snapshots"]) == (700, 2)
        with board.store() as store:
            folder = store.files.folder
        names = [path.relative_to(folder).as_posix() for path in (folder / "files").rglob("*/*")]
        assert len(names) == first["files"] + again["files"] - 2, "a head for each snapshot"
        for name in names:  # as a worker of a cluster reads them, with INTEGRITY_COMPUTE_LEDGER
            assert read_file(bucket, name) == (folder / name).read_bytes()
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")
        with pytest.raises(Unavailable, match="the copy's file log/votes/checkpoint below s3://public/board"):
            copy_ledger(board.url, bucket)
