"""Secrets and containers (kind 8): no password or key where others can read it, no container with more than it needs.

Every place that a command writes to is searched for marked secrets: standard output and error of every verb, process
arguments, log lines at DEBUG, files. What is declared for containers is checked line by line; no engine is needed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from kafka import KafkaAdminClient

from pipeline import private_files
from pipeline.cli import commands
from pipeline.devstack.secured_kafka import SecuredKafkaServer
from pipeline.devstack.services import PORTS, StackServices
from pipeline.devstack.stack_state import StackState
from pipeline.errors import Usage
from pipeline.open_store import open_store
from pipeline.settings import Settings, shown
from pipeline.settings.checks import PASSWORDS, SECRETS
from pipeline.store.db.store_url import parse_url, shown_url
from pipeline.stream.source.kafka_connection import connect
from pipeline.stream.source.kafka_security import client_security
from tests.command import called

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PER_SERVICE = pytest.mark.parametrize("name", sorted(SERVICES))
MARK = "Mark3d"
VOTER_KEY, LEDGER_KEY, PUBLISH_KEY = "ab12" * 16, "cd34" * 16, "ef56" * 16
# Nobody listens at port 9 of the loopback.
AWAY = f"postgresql://worker:{MARK}store@127.0.0.1:9/board?sslpassword={MARK}query&sslmode=disable"
MARKED = {
    "INTEGRITY_VOTER_KEY": VOTER_KEY,
    "INTEGRITY_LEDGER_KEY": LEDGER_KEY,
    "INTEGRITY_PUBLISH_KEY": f"board=hmac-sha256:{PUBLISH_KEY}",
    "INTEGRITY_PUBLISHERS": f"board=hmac-sha256:{PUBLISH_KEY}",
    "INTEGRITY_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "INTEGRITY_KAFKA_SASL_MECHANISM": "PLAIN",
    "INTEGRITY_KAFKA_SASL_PLAIN_USERNAME": "worker",
    "INTEGRITY_KAFKA_SASL_PLAIN_PASSWORD": f"{MARK}kafka",
    "INTEGRITY_POSTGRES_PASSWORD": f"{MARK}postgres",
    "INTEGRITY_POSTGRES_SSLPASSWORD": f"{MARK}ssl",
}


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, one in getattr(command, "commands", {}).items():
        yield from leaves(one, (*words, name))
    if not hasattr(command, "commands"):
        yield words, command


def verbs() -> list[list[str]]:
    """Every command with values for what it requires; those that stay or compute for long are left out."""
    long = {"serve", "exporter", "demo", "redteam", "drill", "bench", "monitor"}
    found = []
    for words, command in leaves(typer.main.get_command(commands.app)):
        if words[0] in long:
            continue
        line = list(words)
        for parameter in command.params:
            if parameter.required:
                option = [] if parameter.param_type_name == "argument" else [parameter.opts[0]]
                line += [*option, "1"]
            if parameter.name == "source" and not parameter.required:
                line += ["--source", "kafka://127.0.0.1:9"]
        if words == ("work",):
            line = ["work", "--source", "kafka://127.0.0.1:9", "--until-end"]
        if words == ("publish",):
            line = ["publish", "--to", "kafka://127.0.0.1:9"]
        found.append(line)
    return found


def leaked(text: str) -> list[str]:
    return [secret for secret in (MARK, VOTER_KEY, LEDGER_KEY, PUBLISH_KEY) if secret in text]


@pytest.mark.long
@pytest.mark.parametrize("store", ["away", "file"])
def test_no_verb_shows_a_secret(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a database that does not answer, where errors are written, and with a store that is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.stream.source.kafka_connection.CONNECT_MS", 500)
    url = AWAY if store == "away" else str(tmp_path / "board.db")
    settings = MARKED | {"INTEGRITY_STORE": url}
    if store == "file":
        assert called("migrate", settings=settings).returncode == 0
    lines = verbs()
    assert len(lines) > 25
    for line in lines:
        for as_json in ([], ["--json"]):
            done = called(*line, *as_json, settings=settings)
            assert leaked(done.stdout + done.stderr) == [], line


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://worker:{MARK}/x@127.0.0.1/board", f"postgresql://worker:a:{MARK}@127.0.0.1:x/board",
        f"postgresql://worker@127.0.0.1:9/board?password={MARK}",
        f"postgresql://worker:{MARK}@[::1/board", f"mysql://worker:{MARK}@127.0.0.1/board",
        f"postgresql://:{MARK}@127.0.0.1:9/board", f"postgresql://worker:{MARK}@127.0.0.1:9/b?nothing={MARK[0]}",
    ],
)  # fmt: skip
def test_a_url_of_a_store_is_never_repeated_with_its_password(url: str) -> None:
    for words in (("doctor",), ("doctor", "--json"), ("migrate",), ("leaderboard",)):
        done = called(*words, settings={"INTEGRITY_STORE": url, "INTEGRITY_VOTER_KEY": VOTER_KEY})
        assert leaked(done.stdout + done.stderr) == []
        assert "Traceback" not in done.stderr
        assert done.returncode in (1, 2, 3)
    given = called("migrate", "--store", url, settings={"INTEGRITY_VOTER_KEY": VOTER_KEY})
    assert leaked(given.stderr) == []


def test_a_password_in_a_command_is_warned_of() -> None:
    given = called("migrate", "--store", AWAY, settings={"INTEGRITY_VOTER_KEY": VOTER_KEY})
    assert "a password in a command is visible to every process" in given.stderr
    told = called("migrate", settings={"INTEGRITY_STORE": AWAY, "INTEGRITY_VOTER_KEY": VOTER_KEY})
    assert "a password in a command" not in told.stderr


def test_a_url_that_cannot_be_read_is_a_usage_error() -> None:
    with pytest.raises(Usage, match=r"expected a store as postgresql://.* cannot be read: .*%2F") as refused:
        parse_url(f"post gresql://worker:{MARK}@127.0.0.1/board")
    assert MARK not in str(refused.value)


def test_secret_parameters_of_a_url_are_hidden_and_others_are_shown() -> None:
    text = shown_url(parse_url(f"postgresql://u:{MARK}@h/b?password={MARK}&sslpassword={MARK}&sslmode=require"))
    assert MARK not in text
    assert "sslmode=require" in text
    assert shown("store", f"postgresql://h/b?user=u&password={MARK}&x=1") == "postgresql://h/b?user=u&password=***&x=1"


@pytest.mark.parametrize("name", [*SECRETS, *PASSWORDS])
def test_a_secret_setting_is_said_to_be_set_and_not_what_it_is(name: str) -> None:
    value = VOTER_KEY if name in SECRETS else f"{MARK}word"
    assert shown(name, value) == "(set)"
    assert value not in repr(Settings(**{name: value}))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_not_even_the_clients_own_log_lines_show_a_password(
    secured_kafka: SecuredKafkaServer, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Who turns on DEBUG for everything does not ask for passwords."""
    caplog.set_level(logging.DEBUG)
    password = secured_kafka.users["board"]
    given = Settings(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism=mechanism,
        kafka_sasl_plain_username="board",
        kafka_sasl_plain_password=password,
    )
    connect(KafkaAdminClient, secured_kafka.address("clear"), client_security(given)).close()
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "Starting KafkaAdminClient with configuration" in said
    assert password not in said


# Files.


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The worst case: whoever runs this lets others read everything."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_keys_of_a_store_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    done = called("migrate", settings={"INTEGRITY_STORE": str(tmp_path / "board.db")})
    assert done.returncode == 0
    keys = tmp_path / "board.db.keys"
    assert mode(keys) == 0o700
    assert {mode(path) for path in keys.iterdir()} == {0o600}


Warned = Callable[..., str]


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Warned:
    """The log lines of a command; a process of its own writes them to standard error."""

    def call(*words: str, settings: Mapping[str, str]) -> str:
        private_files._told.clear()
        caplog.clear()
        assert called(*words, settings=settings).returncode == 0
        return caplog.text

    return call


def test_a_key_file_that_others_can_read_is_named(tmp_path: Path, warned: Warned) -> None:
    given = {"INTEGRITY_STORE": str(tmp_path / "board.db")}
    assert "others can read" not in warned("migrate", settings=given)
    key = tmp_path / "board.db.keys" / "voter.key"
    key.chmod(0o640)
    assert f"{key} holds a secret, and others can read it (mode 0640)" in warned("migrate", settings=given)
    key.chmod(0o600)
    assert "others can read" not in warned("migrate", settings=given)


def test_secret_settings_in_files_that_others_can_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: Warned
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"INTEGRITY_STORE": str(tmp_path / "board.db"), "INTEGRITY_SECRETS_DIR": str(tmp_path / "secrets")}
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700)
    (folder / "integrity_voter_key").write_text(VOTER_KEY)
    (folder / "integrity_voter_key").chmod(0o444)
    (folder / "other").write_text("x")
    assert "others can read" not in warned("migrate", settings=given)  # the folder is closed
    folder.chmod(0o755)
    found = warned("migrate", settings=given)
    assert "integrity_voter_key holds a secret" in found
    assert "other holds" not in found
    folder.chmod(0o700)
    (tmp_path / ".env").write_text("INTEGRITY_BOARD=text\n")
    (tmp_path / ".env").chmod(0o644)
    assert "others can read" not in warned("migrate", settings=given)  # it holds no secret
    (tmp_path / ".env").write_text(f"INTEGRITY_LEDGER_KEY={LEDGER_KEY}\n")
    assert ".env holds a secret" in warned("migrate", settings=given)


@pytest.mark.usefixtures("open_umask")
def test_the_local_stack_writes_its_secrets_for_their_owner_and_passes_none_as_an_argument(tmp_path: Path) -> None:
    ports = {name: 20_000 + number for number, name in enumerate(PORTS)}
    state = StackState.load(tmp_path / "state.json", PORTS, ports)
    assert mode(tmp_path / "state.json") == 0o600
    services = StackServices(tmp_path, state)
    secrets = [state.voter_key, state.ledger_key, state.airflow_password, state.airflow_secret]
    for service in services.all:
        assert not [s for s in [*secrets, state.supervisor_password] if s in " ".join(map(str, service.command))]


def test_no_process_of_the_secured_broker_has_a_password_among_its_arguments(
    secured_kafka: SecuredKafkaServer,
) -> None:
    arguments = Path(f"/proc/{secured_kafka.pid}/cmdline").read_bytes().decode()
    assert not [password for password in secured_kafka.users.values() if password in arguments]
    assert mode(secured_kafka.directory / "server.properties") == 0o600


def test_a_running_command_has_no_secret_among_its_arguments_or_in_its_store(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "board.db"), voter_key=bytes.fromhex(VOTER_KEY))
    store.close()
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix != ".key":
            data = path.read_bytes()
            assert VOTER_KEY.encode() not in data, path
            assert bytes.fromhex(VOTER_KEY) not in data, path


# Containers.


@PER_SERVICE
def test_a_container_has_nothing_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert not service.get("cap_add")
    assert "no-new-privileges:true" in service["security_opt"]
    assert any(str(one).startswith("/tmp") for one in service["tmpfs"])  # noqa: S108
    assert {"privileged", "network_mode", "pid", "ipc", "devices"}.isdisjoint(service)
    assert 0 < service["pids_limit"] <= 1024
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["cpus"] <= 4


@PER_SERVICE
def test_no_environment_and_no_argument_holds_a_secret(name: str) -> None:
    service = SERVICES[name]
    for key, value in service.get("environment", {}).items():
        if re.search(r"PASSWORD|SECRET|KEY|TOKEN|SQL_ALCHEMY_CONN", key):
            assert key.endswith(("_FILE", "__FILE", "_CMD")), key
        assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), key
    assert not re.search(r"://[^/@\s]*:[^/@\s]*@", json.dumps(service.get("command", [])))


@PER_SERVICE
def test_a_service_is_in_networks_that_are_declared_and_meets_only_who_it_has_business_with(name: str) -> None:
    networks = SERVICES[name]["networks"]
    assert set(networks) <= set(COMPOSE["networks"])
    assert "default" not in networks
    doors = [one for one in networks if one.endswith("-door")]
    assert bool(doors) == bool(SERVICES[name].get("ports")) or name == "grafana"
    for one in set(networks) - set(doors):
        assert COMPOSE["networks"][one]["internal"] is True


def meet(one: str, other: str) -> bool:
    return bool(set(SERVICES[one]["networks"]) & set(SERVICES[other]["networks"]))


def test_who_has_no_business_with_each_other_does_not_meet() -> None:
    for one, other in [
        ("page", "kafka"), ("page", "airflow-api"), ("page", "airflow-dags"), ("kafka", "postgres"),
        ("grafana", "postgres"), ("prometheus", "postgres"), ("kafka", "airflow-scheduler"), ("monitor", "kafka"),
    ]:  # fmt: skip
        assert not meet(one, other), (one, other)
    for one, other in [
        ("worker-1", "kafka"), ("worker-1", "postgres"), ("page", "postgres"), ("prometheus", "worker-2"),
        ("prometheus", "exporter"), ("airflow-scheduler", "airflow-api"), ("topics", "kafka"), ("grants", "postgres"),
    ]:  # fmt: skip
        assert meet(one, other), (one, other)


@PER_SERVICE
def test_an_image_of_others_can_be_pinned_by_digest(name: str) -> None:
    image = SERVICES[name]["image"]
    if not image.startswith("leaderboard-integrity"):
        assert re.fullmatch(r"[a-z/]+:v?[0-9.]+\$\{[A-Z]+_DIGEST:-\}", image)
    else:
        assert SERVICES[name]["build"]["args"] == {"PYTHON_DIGEST": "${PYTHON_DIGEST:-}"}


def test_images_are_pinned_to_what_their_tags_mean(tmp_path: Path) -> None:
    """With an engine that answers with the digest of the image it was asked for."""
    engine = tmp_path / "docker"
    engine.write_text('#!/bin/sh\nfor image; do :; done\necho "sha256:$(echo "$image" | sha256sum | cut -c1-64)"\n')
    engine.chmod(0o755)
    done = subprocess.run(
        ["sh", str(DEPLOY / "pin-images.sh")],
        env=os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    pinned = dict(line.split("=", 1) for line in done.stdout.splitlines())
    text = (DEPLOY / "compose.yaml").read_text() + (DEPLOY / "Dockerfile").read_text()
    wanted = set(re.findall(r"\$\{?([A-Z]+_DIGEST)", text))
    assert set(pinned) == wanted
    assert all(re.fullmatch(r"@sha256:[0-9a-f]{64}", digest) for digest in pinned.values())
    assert len(set(pinned.values())) == len(pinned)


@pytest.mark.usefixtures("open_umask")
def test_secrets_are_made_once_in_a_folder_that_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    subprocess.run(["sh", str(DEPLOY / "secrets.sh"), str(folder)], check=True, capture_output=True)
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o444}
    subprocess.run(["sh", str(DEPLOY / "secrets.sh"), str(folder)], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == first
    assert f":{first['ingest_password'].strip()}@" in first["ingest_store"]


def test_secrets_of_an_earlier_file_are_taken_over(tmp_path: Path) -> None:
    """Without its voter key a store does not open, and PostgreSQL takes passwords only when it is new."""
    (tmp_path / "secrets.sh").write_text((DEPLOY / "secrets.sh").read_text())
    (tmp_path / ".env").write_text(f"INTEGRITY_VOTER_KEY={VOTER_KEY}\nINGEST_PASSWORD=earlier\n")
    subprocess.run(["sh", str(tmp_path / "secrets.sh")], check=True, capture_output=True)
    folder = tmp_path / "secrets"
    assert (folder / "voter_key").read_text().strip() == VOTER_KEY
    assert "integrity_ingest:earlier@postgres" in (folder / "ingest_store").read_text()
    assert re.fullmatch("[0-9a-f]{64}\n", (folder / "ledger_key").read_text())


def test_secrets_are_kept_out_of_the_repository_and_of_images() -> None:
    ignored = (DEPLOY.parent / ".gitignore").read_text().splitlines()
    assert {"deploy/.env", "deploy/secrets/"} <= set(ignored)
    kept = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
    assert not [line for line in kept if "secrets" in line or ".env" in line]
