"""The drill: invented votes go to a copy or to a test store, and never to a board."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from pipeline.cli import drill_command
from pipeline.devstack import monitoring
from pipeline.devstack.monitoring import AlertmanagerServer, ExporterPrometheusServer
from pipeline.devstack.postgres import PostgresServer, binary_folder
from pipeline.devstack.process import LocalServer
from pipeline.devstack.service import http_get
from pipeline.errors import Unavailable, Usage
from pipeline.lab.drill import board_copy
from pipeline.lab.drill.campaign import DrillCampaign, plan_campaign
from pipeline.lab.drill.chain import Chain, Link
from pipeline.open_store import existing_store, key_folder, open_store
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import drill_mark
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.db import schema
from tests.command import called
from tests.integration import incident_board
from tests.integration.board_of_votes import OPTIONS, Board, using
from tests.integration.test_incidents import SETTINGS

WHO = Operator("erin", "cli", "test")


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A board with a snapshot of 3,000 votes."""
    with using(OPTIONS):
        made = Board(str(tmp_path / "board.db"), tmp_path)
        made.vote(3_000)
        made.refresh()
        yield made


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def votes_of(url: str) -> int:
    with existing_store(url) as opened, opened.read() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(schema.vote)) or 0)


@pytest.mark.parametrize("words", [("--to", "kafka://127.0.0.1:9"), ("--mark-as-test",)])
def test_a_published_board_gets_no_invented_vote_and_is_never_marked_as_a_test(
    board: Board, words: tuple[str, ...]
) -> None:
    done = called("drill", *words, "--yes", "--store", board.url, settings=SETTINGS)
    assert done.returncode == 2
    assert f"`integrity drill --copy --store {board.url}` drills on a copy of it" in done.stderr
    with existing_store(board.url) as opened, opened.read() as connection:
        assert not drill_mark.is_test(connection)
    assert votes_of(board.url) == 3_000


def test_a_store_that_has_published_nothing_is_marked_once_and_the_mark_is_in_the_operators_log(tmp_path: Path) -> None:
    url = str(tmp_path / "empty.db")
    with using(OPTIONS), closing(open_store(url)):
        pass
    for _ in range(2):
        done = called("drill", "--mark-as-test", "--name", "erin", "--json", "--store", url, settings=SETTINGS)
        assert (done.returncode, json.loads(done.stdout)) == (0, {"test_store": True}), done.stderr
    done = called("operators", "log", "--json", "--store", url, settings=SETTINGS)
    rows = [row for row in json.loads(done.stdout) if row["action"] == "store.mark_as_test"]
    assert [row["operator"] for row in rows] == ["erin"]
    # There is no board to drill on yet.
    done = called("drill", "--to", "kafka://127.0.0.1:9", "--yes", "--store", url, settings=SETTINGS)
    assert (done.returncode, "expected a board with a snapshot" in done.stderr) == (2, True)


def test_a_store_with_votes_is_not_marked_as_a_test_even_if_it_has_published_nothing(tmp_path: Path) -> None:
    with using(OPTIONS):
        made = Board(str(tmp_path / "board.db"), tmp_path)
        made.vote(3)
    done = called("drill", "--mark-as-test", "--store", made.url, settings=SETTINGS)
    assert (done.returncode, "expected a store without votes" in done.stderr) == (2, True)
    with existing_store(made.url, with_key=False) as opened, opened.read() as connection:
        assert not drill_mark.is_test(connection)


def test_a_board_of_two_public_models_gets_no_campaign_even_for_a_model_that_is_named(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HiddenModels, "__contains__", lambda _, model: model != "dog")
    with board.store() as store, store.read() as connection, pytest.raises(Usage, match="at least three models, got 1"):
        plan_campaign(connection, "drill-1", "dog")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("ftp://127.0.0.1:9", Usage), ("http://127.0.0.1:nine", Usage), ("http://127.0.0.1:9", Unavailable)],
)
def test_a_prometheus_that_does_not_answer_is_told_before_a_vote_is_sent(
    board: Board, address: str, expected: type[Exception]
) -> None:
    sent: list[int] = []
    with board.store() as store:
        with store.read() as connection:
            campaign = plan_campaign(connection, "drill-1")
        chain = Chain(store, board.url, campaign, address, 1, str)
        with pytest.raises(expected, match=re.escape(address)):
            chain.run(lambda: sent.append(1), WHO)
    assert sent == []


@pytest.mark.parametrize("copy", [["--copy"], ["--copy-to", "postgresql://127.0.0.1:9/copy"]], ids=["file", "database"])
def test_a_drill_on_a_copy_refuses_another_prometheus_than_its_own(copy: list[str], tmp_path: Path) -> None:
    words = ["drill", *copy, "--prometheus", "http://127.0.0.1:9", "--store", str(tmp_path / "none.db")]
    done = called(*words, settings=SETTINGS)
    assert (done.returncode, "--prometheus: expected it with --to alone" in done.stderr) == (2, True)
    assert "http://127.0.0.1:9" in done.stderr


def test_a_prometheus_that_is_away_for_a_moment_has_not_paged_yet(tmp_path: Path) -> None:
    board = incident_board.copied(tmp_path / "board.db")
    with board.store() as store:
        voters = tuple(f"sybil {number}" for number in range(incident_board.SYBILS))
        campaign = DrillCampaign("drill-1", "dog", voters, ())
        chain = Chain(store, board.url, campaign, "http://127.0.0.1:9", 1, str)
        assert chain._incident() is not None
        assert chain._paged() is None


@pytest.fixture
def configuration_of_the_copy(tmp_path: Path) -> dict[str, Any]:
    server = ExporterPrometheusServer(tmp_path, exporter=19_464, seconds=1)
    server._prepare()
    found: dict[str, Any] = yaml.safe_load((tmp_path / "prometheus.yml").read_text("utf-8"))
    return found


def test_the_prometheus_of_a_copy_calls_nobody_and_scrapes_its_exporter_alone(
    configuration_of_the_copy: dict[str, Any], promtool: str, tmp_path: Path
) -> None:
    assert configuration_of_the_copy.keys() == {"global", "rule_files", "scrape_configs"}
    targets = [
        target
        for job in configuration_of_the_copy["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    ]
    assert targets == ["127.0.0.1:19464"]
    done = subprocess.run(
        [promtool, "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "incidents.yml" in done.stdout


@pytest.mark.parametrize("server", [ExporterPrometheusServer, AlertmanagerServer])
def test_a_server_whose_configuration_is_not_installed_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: type[LocalServer]
) -> None:
    monkeypatch.setattr(monitoring, "find_program", lambda *names: names[0])
    monkeypatch.setattr(monitoring, "DEPLOY", tmp_path / "deploy")
    options = {"exporter": 19_464, "seconds": 1} if server is ExporterPrometheusServer else {}
    with pytest.raises(Unavailable, match="only a checkout of the project has it"):
        server(tmp_path, **options).check()


def test_the_campaign_is_labelled_and_lifts_a_model_that_no_open_incident_is_about(board: Board) -> None:
    with board.store() as store, store.read() as connection:
        campaign = plan_campaign(connection, "drill-1", accounts=3, votes_each=5)
        assert plan_campaign(connection, "drill-1", accounts=3, votes_each=5) == campaign
        with pytest.raises(Usage, match="expected a model of the newest board, got 'elk'"):
            plan_campaign(connection, "drill-1", "elk")
    assert len(campaign.events) == 15
    for one in campaign.events:
        assert one["winner"] == ("model_a" if one["model_a"] == campaign.target else "model_b")
        assert campaign.target in (one["model_a"], one["model_b"])
        assert all(str(one[name]).startswith("drill-1-") for name in ("vote_id", "voter_id", "network"))


def told_by(called: Callable[[], object]) -> str:
    with pytest.raises(Unavailable) as failed:
        called()
    return str(failed.value)


def test_no_child_process_has_the_address_of_the_store_in_its_command(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tmp_path / "integrity"
    shown.write_text('#!/bin/sh\necho "words: $*"\necho "store: $INTEGRITY_STORE"\nexit 3\n', encoding="utf-8")
    shown.chmod(0o700)
    monkeypatch.setattr(board_copy, "_INTEGRITY", shown)
    monkeypatch.setattr(drill_command, "_INTEGRITY", shown)
    url = "postgresql://board:secret-4711@127.0.0.1:9/board"
    made = board_copy.BoardCopy(url, tmp_path, "", {"INTEGRITY_STORE": url})
    with board.store() as store, store.read() as connection:
        campaign = plan_campaign(connection, "drill-1", accounts=1, votes_each=1)
    log = tmp_path / "monitor.log"
    with board_copy._running("monitor", environment=made.environment, log=log):
        deadline = time.monotonic() + 20
        while "store:" not in log.read_text("utf-8") and time.monotonic() < deadline:
            time.sleep(0.02)
    texts = [
        told_by(lambda: made.read(tmp_path / "votes.jsonl")),
        told_by(lambda: drill_command._publish(campaign, "kafka://127.0.0.1:9", url)),
        log.read_text("utf-8"),
    ]
    for text in texts:
        (words,) = re.findall("words: .*", text)
        assert "secret-4711" not in words
        assert f"store: {url}" in text


@pytest.mark.long
def test_a_copy_in_postgresql_leaves_no_key_and_no_ledger_in_the_folder_of_the_user(
    postgres_server: PostgresServer, postgres_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pg_dump is not older than the server.
    monkeypatch.setenv("PATH", str(binary_folder()), prepend=os.pathsep)
    name = f"copy_{uuid.uuid4().hex[:12]}"
    to, state = postgres_server.create_database(name), Path(os.environ["XDG_STATE_HOME"])
    try:
        with using(OPTIONS):
            made = Board(postgres_store, tmp_path)
            made.vote(300)
            made.refresh()
            before = files(state)
            with board_copy.copied_board(made.url, to, 1, str) as copy:
                assert key_folder(to).is_relative_to(copy.folder)
                assert files(state) == before
            assert (files(state), os.environ["XDG_STATE_HOME"]) == (before, str(state))
    finally:
        postgres_server.drop_database(name)


def asked(prometheus: str, question: str) -> dict[str, Any]:
    answer = http_get(int(prometheus.rpartition(":")[2]), f"/api/v1/{question}")
    assert answer is not None
    data: dict[str, Any] = json.loads(answer)["data"]
    return data


def health(prometheus: str) -> list[str]:
    """Health of each target of a Prometheus, once it has tried them all."""
    deadline = time.monotonic() + 30
    while True:
        found = [str(one["health"]) for one in asked(prometheus, "targets")["activeTargets"]]
        if (found and "unknown" not in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.usefixtures("promtool")
def test_a_drill_on_a_copy_leaves_the_board_as_it_was(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_VOTER_KEY", OPTIONS.voter_key)
    monkeypatch.setenv("INTEGRITY_ANCHOR", "")
    ledger, links = files(Path(f"{board.url}.ledger")), list[Link]()
    with board_copy.copied_board(board.url, "", 1, str) as made, existing_store(made.url) as opened:
        with opened.read() as connection:
            campaign = plan_campaign(connection, "drill-1")
        campaign.write_jsonl(made.folder / "votes.jsonl")
        # A page takes a minute more: tests/stack waits for one, on a store that is marked as a test.
        chain = Chain(opened, made.url, campaign, "", 120, links.append)
        result = chain.run(lambda: made.read(made.folder / "votes.jsonl"), WHO)
        assert votes_of(made.url) == 3_000 + len(campaign.events)
        assert health(made.prometheus) == ["up"]
        assert asked(made.prometheus, "alertmanagers")["activeAlertmanagers"] == []
        copied = made.folder
    assert not copied.exists()
    assert [link.name for link in links if link.seconds is None] == ["page"]
    assert [link.name for link in links] == ["votes sent", "alert", "incident", "page", "exclusion", "defended board"]
    assert not result.passed
    assert f"12 accounts on 1 network lifted {campaign.target}" in result.headline
    # Besides the campaign's 720 votes, those of suspected accounts: most voters of this board always vote the same.
    left_out = int(links[-1].note.split(", ")[-1].split()[0].replace(",", ""))
    assert left_out in range(720, 720 + 3_000 // 2, 100)
    assert votes_of(board.url) == 3_000
    assert files(Path(f"{board.url}.ledger")) == ledger
