"""Fixtures with real servers, and the count of what really used them.

A test that asks for one of the fixtures in FIXTURES gets the marker of its service. Where a service cannot
be had the test is skipped and the summary says so; with CI=true or INTEGRITY_REQUIRE_SERVICES=1 it fails,
because a suite that skips quietly proves nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from xdist.scheduler import LoadFileScheduling

from pipeline.devstack import KafkaServer, PostgresServer
from pipeline.devstack.monitoring import AlertmanagerServer
from pipeline.devstack.process import LocalServer
from pipeline.devstack.secured_kafka import SecuredKafkaServer
from pipeline.errors import Unavailable
from pipeline.store.db import migrate
from tests import order
from tests.command import made_once
from tests.services import WANT, give_up, services_required

SERVICES = {
    "kafka": "the real Kafka broker",
    "postgres": "the real PostgreSQL",
    "airflow": "Airflow",
    "prometheus": "Prometheus",
    "chromium": "Chromium",
    "nginx": "nginx",
    "helm": "Helm's engine",
}
FIXTURES = {
    "kafka_server": "kafka",
    "kafka_url": "kafka",
    "make_kafka": "kafka",
    "secured_kafka": "kafka",
    "postgres_server": "postgres",
    "postgres_url": "postgres",
    "postgres_store": "postgres",
    "make_postgres": "postgres",
    "promtool": "prometheus",
    "amtool": "prometheus",
    "alertmanager": "prometheus",
    "chromium": "chromium",
    "nginx": "nginx",
    "helm_tools": "helm",
}
# The services that no complete run under CI may do without, whatever became of the tests that use them.
REQUIRED = ("kafka", "postgres")
# `make prometheus` puts promtool beside the interpreter, which is on PATH under `make test` alone.
SEARCH = os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")])

Server = TypeVar("Server", bound=LocalServer)
# The markers of a test travel with its reports, from the process that ran it to the one that counts. A report's
# keywords would also match a folder of the same name.
PROPERTY = "services"
# The expression of pyproject.toml: the stack walk and the long faults have commands of their own.
DEFAULT_CHOICE = "not stack and not slow and not beside and not peers"
EVERYDAY_CHOICE = "not slow and not long and not stack and not beside and not peers"  # the Makefile's
ran: Counter[str] = Counter()
wanting: Counter[str] = Counter()


def started(server: Server) -> Server:
    """Start a server: what the machine lacks is a skip, a server that does not come up is a failure."""
    try:
        server.check()
    except Unavailable as error:
        give_up(str(error))
    return server.start()


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One broker for the session. Kill and freeze your own, from `make_kafka`."""
    with started(KafkaServer(tmp_path_factory.mktemp("kafka"))) as server:
        yield server


@pytest.fixture
def kafka_url(kafka_server: KafkaServer) -> str:
    """kafka://HOST:PORT of the session's broker; name topics so that tests do not meet."""
    return kafka_server.url


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafkaServer]:
    """A broker with TLS, logins and ACLs; what its users may do, tests say. `board` may do everything."""
    users = {name: f"{name}-secret-4711" for name in ("board", "reader", "writer", "stranger")}
    server = SecuredKafkaServer(tmp_path_factory.mktemp("secured_kafka"), users=users)
    with started(server):
        for kind in ("TOPIC", "GROUP"):
            server.allow("board", kind, "*", ["ALL"])
        yield server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL for the session. Roles are shared by all its databases. No test crashes it: it need not fsync."""
    directory = tmp_path_factory.mktemp("postgres")
    with started(PostgresServer(directory, settings={"fsync": "off", "synchronous_commit": "off"})) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def store_template(postgres_server: PostgresServer) -> str:
    """The name of a database with the tables of a store and nothing in them."""
    name = "store_template"
    engine = sa.create_engine(postgres_server.create_database(name), poolclass=sa.NullPool)
    migrate.upgrade(engine)
    return name


@pytest.fixture
def postgres_store(postgres_server: PostgresServer, store_template: str) -> Iterator[str]:
    """The SQLAlchemy URL of a new store, dropped after the test: a copy, since a migration takes a second."""
    name = f"store_{uuid.uuid4().hex[:12]}"
    yield postgres_server.create_database(name, store_template)
    postgres_server.drop_database(name)


@pytest.fixture
def make_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., KafkaServer]]:
    """Start brokers of the test's own, to be killed and frozen; takes the options of KafkaServer."""
    with ExitStack() as stack:

        def make(**options: Any) -> KafkaServer:
            server = KafkaServer(tmp_path_factory.mktemp("own_kafka"), **options)
            return stack.enter_context(started(server))

        yield make


@pytest.fixture
def make_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., PostgresServer]]:
    """Start servers of the test's own, to be killed and frozen; takes the options of PostgresServer."""
    with ExitStack() as stack:

        def make(**options: Any) -> PostgresServer:
            server = PostgresServer(tmp_path_factory.mktemp("own_postgres"), **options)
            return stack.enter_context(started(server))

        yield make


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of promtool, Prometheus's checker of rules."""
    return _tool("promtool")


@pytest.fixture(scope="session")
def amtool() -> str:
    """The path of amtool, Alertmanager's checker of its configuration."""
    return _tool("amtool")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's Chromium."""
    return _tool("chromium", "chromium")


@pytest.fixture(scope="session")
def nginx() -> str:
    """The path of Debian's nginx."""
    return _tool("nginx", "nginx")


@pytest.fixture(scope="session")
def helm_tools() -> Path:
    """The folder with Helm's engine and Kubernetes' schemas."""
    folder = Path(sys.prefix) / "helm"
    if not (folder / ".copied").is_file():
        give_up(f"expected Helm's engine in {folder}, got none: run `make helm`")
    return folder


def _tool(name: str, target: str = "prometheus") -> str:
    path = shutil.which(name, path=SEARCH)
    if path is None:
        give_up(f"expected {name} on PATH, got none: run `make {target}`")
    return str(path)


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[AlertmanagerServer]:
    """A running Alertmanager that knows of no alert."""
    with started(AlertmanagerServer(tmp_path / "alertmanager")) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keys and ledgers of stores in a database are the tests' own, not the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def commands_made_once() -> Iterator[None]:
    """Both ways to call a verb in this process share its command."""
    with pytest.MonkeyPatch.context() as patch:
        for where in ("typer.main.get_command", "typer.testing._get_command"):
            patch.setattr(where, made_once)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: order.rank(item.path))
    for item in items:
        for service in {FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in FIXTURES}:
            item.add_marker(service)
        item.user_properties.append((PROPERTY, [name for name in SERVICES if item.get_closest_marker(name)]))


class OneBroker(LoadFileScheduling):
    """A file is one process's work, and one process has all files that use the session's broker: each starts one."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "kafka" if uses_kafka(self.config.rootpath / file) else file


@cache
def uses_kafka(file: Path) -> bool:
    """Whether tests of a file ask for the session's broker."""
    return re.search(r"\bkafka_(server|url)\b", file.read_text("utf-8")) is not None


@pytest.hookimpl(optionalhook=True)  # also without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return OneBroker(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    services = dict(report.user_properties).get(PROPERTY, [])
    if report.when == "call" and report.outcome in ("passed", "failed"):
        ran.update(services)
    if report.skipped and WANT in str(report.longrepr):
        wanting.update(services)


def unused(config: pytest.Config) -> list[str]:
    """The required services that a complete run under CI did not use."""
    chosen = (
        config.option.keyword
        or config.option.markexpr not in (DEFAULT_CHOICE, EVERYDAY_CHOICE)
        or config.option.collectonly
    )
    if hasattr(config, "workerinput"):
        return []  # a part of a run: the process that counts the whole says
    complete = config.args_source is not pytest.Config.ArgsSource.ARGS and not chosen
    return [name for name in REQUIRED if not ran[name]] if complete and services_required() else []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and unused(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = ", ".join(f"{ran[name]} {words}" for name, words in SERVICES.items())
    verb = "tests used "
    terminalreporter.write_line(
        f"real services: {counts.replace(' ', ' ' + verb, 1)}; {wanting.total()} skipped for want of a service"
    )
    for name in wanting:
        terminalreporter.write_line(f"NOT TESTED: {wanting[name]} tests of {SERVICES[name]}", red=True)
    for name in unused(config):
        terminalreporter.write_line(f"FAILED: no test used {SERVICES[name]}", red=True)
