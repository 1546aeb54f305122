"""A real Airflow as three processes: API server, scheduler with LocalExecutor, DAG processor.

Its database is one of its own on the stack's PostgreSQL. A task talks to the API server alone (the execution
API, with a token), never to that database. Whoever logs in is `admin`, with a password made for this stack.
Not handled: a triggerer (no DAG here defers), more than one scheduler.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import util
from pathlib import Path

from pipeline.devstack.process import LOOPBACK
from pipeline.devstack.service import Service, http_get
from pipeline.errors import Unavailable

DAGS = Path(__file__).parents[2] / "dags"
USER = "admin"
_PROCESSES = {"api-server": "airflow-api", "scheduler": "airflow-scheduler", "dag-processor": "airflow-dags"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AirflowServices:
    """One Airflow.

    Attributes:
        home: holds the task logs and the password file.
        database: an SQLAlchemy URL; psycopg is replaced by psycopg2, which Airflow wants.
        port: of the API server and the page.
        password: of the user `admin`.
        secret: what the tokens of tasks and sessions are signed with.
        tasks: what the tasks are told: the store and the voter key.
    """

    home: Path
    database: str
    port: int
    password: str
    secret: str
    tasks: Mapping[str, str]

    def check(self) -> None:
        """Raise `Unavailable` where Airflow is missing."""
        if util.find_spec("airflow") is None:
            raise Unavailable("expected the extra `airflow`, got none: run `make setup`")

    def environment(self) -> dict[str, str]:
        """What each of the three processes is told."""
        address = f"http://{LOOPBACK}:{self.port}"
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # max_active_runs=1 and four tasks in a row: never more than two at once.
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords),
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__API__SECRET_KEY": self.secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": self.secret,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database.replace("+psycopg:", "+psycopg2:"),
            "PYTHONDONTWRITEBYTECODE": "1",  # no __pycache__ in dags/
            **self.tasks,
        }

    @property
    def _passwords(self) -> Path:
        return self.home / "passwords.json"

    def prepare(self) -> None:
        """Write the password and bring the database up to date (12 s the first time).

        Raises:
            Unavailable: the migration failed; quotes its end.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        self._passwords.write_text(json.dumps({USER: self.password}) + "\n")
        done = subprocess.run(
            self._command("db", "migrate"),
            env=os.environ | self.environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"expected Airflow to migrate its database, got:\n{(done.stdout + done.stderr)[-2000:]}")

    def parts(self) -> list[Service]:
        """The processes; each answers when the API server says that it is healthy."""
        return [
            Service(
                name=name,
                tier="scheduler" if process == "scheduler" else "pipeline",
                command=self._command(process, *self._options(process)),
                directory=self.home,
                environment=self.environment(),
                answers=partial(self._healthy, process),
                port=self.port if process == "api-server" else None,
                # A task in hand is given the time to end.
                stop_seconds=30.0,
            )
            for process, name in _PROCESSES.items()
        ]

    def _options(self, process: str) -> tuple[str, ...]:
        return {
            # One worker: each takes 200 MB, and nobody but the tasks and one reader asks.
            "api-server": ("--host", LOOPBACK, "--port", str(self.port), "--workers", "1"),
            # The server of task logs listens on every address; here the API server reads the files.
            "scheduler": ("--skip-serve-logs",),
        }.get(process, ())

    def _healthy(self, process: str) -> bool:
        answer = http_get(self.port, "/api/v2/monitor/health")
        if answer is None:
            return False
        part = {"api-server": "metadatabase"}.get(process, process.replace("-", "_"))
        return bool(json.loads(answer)[part]["status"] == "healthy")

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "airflow", *words]
