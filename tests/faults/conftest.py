"""A broker whose groups may have short sessions, a database server, and a scene on the two.

All three last for the session: a test that breaks one of them mends it before it ends, or makes its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.devstack import KafkaServer, PostgresServer
from tests.conftest import started
from tests.faults.scene import GROUPS, SETTINGS, FaultStream, Scene, forget_connection, make_stream


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the workers of these tests are told; jobs in this process read it too."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    yield
    forget_connection()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker for the fault tests of this process."""
    with started(KafkaServer(tmp_path_factory.mktemp("broker"), heap="384m", overrides=GROUPS)) as server:
        yield server


@pytest.fixture(scope="session")
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL for the fault tests of this process; deadlocks are looked for soon.

    Without fsync: what a crashed process has written the kernel keeps (only a power loss does not), and a recovery
    that flushes a whole disk under other tests' load takes minutes.
    """
    directory = tmp_path_factory.mktemp("database")
    settings = {"deadlock_timeout": "300ms", "fsync": "off"}
    with started(PostgresServer(directory, settings=settings)) as server:
        yield server


@pytest.fixture(scope="session")
def stream() -> FaultStream:
    """20,000 votes, 200 of them late, 2% repeats, six attackers."""
    return make_stream(votes=20_000, before=4_000, seed=77)


@pytest.fixture(scope="session")
def scene(
    broker: KafkaServer, database_server: PostgresServer, stream: FaultStream, tmp_path_factory: pytest.TempPathFactory
) -> Scene:
    """A topic that holds the whole stream; no test appends to it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        made = Scene(broker, database_server, tmp_path_factory.mktemp("scene"), stream)
        made.publish(stream.after)
        return made
