"""Runs a real Airflow as three processes: API server, scheduler with LocalExecutor, DAG processor.

Airflow has its own database in the stack's PostgreSQL. Tasks do not connect to this database, but use the API server
(the execution API, with a token). The only user is `admin`, with a password that is generated for this stack.

Not handled: a triggerer (no DAG of this project defers), and more than one scheduler.
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
    """The configuration and the processes of one Airflow.

    Attributes:
        home: folder for the task logs and the password file.
        database: SQLAlchemy URL of Airflow's database. A driver psycopg in it is replaced by psycopg2, which Airflow
            needs.
        port: port of the API server and its web page.
        password: password of the user `admin`.
        secret: key that signs the tokens of tasks and sessions.
        task_environment: environment variables of the tasks, which name the store and the keys.
    """

    home: Path
    database: str
    port: int
    password: str
    secret: str
    task_environment: Mapping[str, str]

    def check(self) -> None:
        """Raise `Unavailable` if Airflow is not installed. No process is started."""
        if util.find_spec("airflow") is None:
            raise Unavailable("expected the extra `airflow`, got none: run `make setup`")

    def environment(self) -> dict[str, str]:
        """Return name → value of the environment variables of the three processes."""
        address = f"http://{LOOPBACK}:{self.port}"
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # With max_active_runs=1 and four tasks in sequence, at most two run at once.
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords),
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__API__SECRET_KEY": self.secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": self.secret,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database.replace("+psycopg:", "+psycopg2:"),
            "PYTHONDONTWRITEBYTECODE": "1",  # no __pycache__ in dags/
            **self.task_environment,
        }

    @property
    def _passwords(self) -> Path:
        return self.home / "passwords.json"

    def prepare(self) -> None:
        """Write the password file and migrate Airflow's database, which takes 12 s the first time.

        Raises:
            Unavailable: the migration failed. The message has the end of its output.
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

    def services(self) -> list[Service]:
        """Return the three processes as services. A service is ready when the API server reports it as healthy."""
        return [
            Service(
                name=name,
                tier="scheduler" if process == "scheduler" else "pipeline",
                command=self._command(process, *self._options(process)),
                directory=self.home,
                environment=self.environment(),
                is_ready=partial(self._healthy, process),
                port=self.port if process == "api-server" else None,
                # Running tasks need time to end.
                stop_seconds=30.0,
            )
            for process, name in _PROCESSES.items()
        ]

    def _options(self, process: str) -> tuple[str, ...]:
        return {
            # One worker: each needs 200 MB, and only the tasks and one user send requests.
            "api-server": ("--host", LOOPBACK, "--port", str(self.port), "--workers", "1"),
            # The server of task logs would listen on every address; the API server reads the files instead.
            "scheduler": ("--skip-serve-logs",),
        }.get(process, ())

    def _healthy(self, process: str) -> bool:
        answer = http_get(self.port, "/api/v2/monitor/health")
        if answer is None:
            return False
        component = {"api-server": "metadatabase"}.get(process, process.replace("-", "_"))
        return bool(json.loads(answer)[component]["status"] == "healthy")

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "airflow", *words]
