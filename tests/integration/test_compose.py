"""deploy/compose.yaml and the images, as far as they can be held against the real parts without an engine.

What is declared is compared with what there is: verbs, options, settings, files, ports.
test_compose_rehearsal.py then runs the services.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from pipeline.cli.commands import app
from pipeline.devstack.airflow import AirflowServices
from pipeline.devstack.kafka import TEMPLATE
from pipeline.devstack.postgres import SIZED
from pipeline.devstack.services import WORKERS
from pipeline.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "leaderboard-integrity"}
AIRFLOW = {name: service for name, service in SERVICES.items() if service["image"] == "leaderboard-integrity-airflow"}
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
STAYS_ENDED = DEPLOY / "stays-ended.sh"


def words(service: dict[str, Any]) -> list[str]:
    """The command of ours, without what is around it."""
    command = [str(word) for word in service["command"]]
    return command[1:] if command[0] == "stays-ended" else command


def option(service: str, name: str) -> str:
    command = words(SERVICES[service])
    return command[command.index(name) + 1]


def mounts(service: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Sources and targets; a source without a slash is a volume."""
    for volume in service.get("volumes", ()):
        source, target, *_ = volume.split(":")
        yield source, target


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What deploy/secrets holds."""
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run(["sh", str(DEPLOY / "secrets.sh"), str(folder)], check=True)
    return {path.name: path.read_text().strip() for path in folder.iterdir()}


def used_secrets(service: dict[str, Any]) -> dict[str, str]:
    """Name in /run/secrets → name of the secret."""
    named = (one if isinstance(one, dict) else {"source": one, "target": one} for one in service.get("secrets", ()))
    return {one["target"]: one["source"] for one in named}


PER_SERVICE = pytest.mark.parametrize("name", sorted(SERVICES))


def test_every_part_of_the_local_stack_is_a_service():
    there = {"kafka", "postgres", *WORKERS, "monitor", "exporter", "prometheus", "alertmanager"}
    assert there | {"airflow-api", "airflow-scheduler", "airflow-dags"} <= set(SERVICES)


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_command_is_a_verb_with_options_that_it_has(name):
    program, verb, *rest = words(OURS[name])
    assert program == "integrity"
    group = typer.main.get_command(app)
    command = group.get_command(group.make_context("integrity", [verb, *rest]), verb)
    assert command is not None
    command.make_context(verb, rest)  # raises where an option or an argument is not there


@pytest.mark.long
def test_airflow_knows_its_commands_and_is_told_what_the_local_one_is_told(tmp_path):
    """Airflow's own parser and configuration say so, in one process: it takes seconds to import."""
    lines = [words(service) for service in AIRFLOW.values()]
    # A shell writes the password first.
    lines = [shlex.split(line[-1].rpartition("exec ")[2]) if line[0] == "sh" else line for line in lines]
    assert len(lines) == 4
    assert {line[0] for line in lines} == {"airflow"}
    local = AirflowServices(home=tmp_path, database="", port=1, password="", secret="", task_environment={})
    # The image itself says where the DAGs are.
    reported = {name for name in local.environment() if name.startswith("AIRFLOW__")} - {"AIRFLOW__CORE__DAGS_FOLDER"}
    for name, service in AIRFLOW.items():
        given = {key.removesuffix("_CMD") for key in service["environment"] if key.startswith("AIRFLOW__")}
        assert given == reported, name
    script = (
        "import json, sys\nfrom airflow.cli.cli_parser import get_parser\nfrom airflow.configuration import conf\n"
        "lines, keys = json.loads(sys.argv[1])\n"
        "for line in lines: get_parser().parse_args(line)\n"
        "described = conf.configuration_description\n"
        "for section, key in keys: described[section]['options'][key]"
    )
    asked = json.dumps([[line[1:] for line in lines], [name.lower().split("__")[1:] for name in reported]])
    done = subprocess.run([sys.executable, "-c", script, asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert SERVICES["airflow-api"]["environment"]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == (
        f"http://airflow-api:{shlex.split(words(SERVICES['airflow-api'])[-1])[-3]}/execution/"
    )


@PER_SERVICE
def test_a_setting_is_one_that_is_read(name):
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {key for key in SERVICES[name].get("environment", {}) if key.startswith(PREFIX)}
    assert given <= known


@PER_SERVICE
def test_what_is_mounted_is_there_and_is_not_written_to(name):
    for volume in SERVICES[name].get("volumes", ()):
        source, _, mode = volume.partition(":")
        if source.startswith("."):
            assert (DEPLOY / source).exists(), volume
            assert mode.endswith(":ro"), volume
        else:
            assert source in COMPOSE["volumes"], volume


@PER_SERVICE
def test_nothing_listens_beyond_this_machine_and_no_image_names_a_registry(name):
    assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert not re.search(r"[.:]", image.split("/")[0])
    assert tag not in ("", "latest") or image.startswith("leaderboard-integrity")


@PER_SERVICE
def test_what_is_waited_for_comes(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        condition = how["condition"]
        assert other in SERVICES
        if condition == "service_completed_successfully":
            assert SERVICES[other]["restart"] == "no"
        elif condition == "service_started":  # the proxy answers 502 until the page is there
            assert name == "proxy"
        else:
            assert condition == "service_healthy"
            assert "healthcheck" in SERVICES[other]


def test_a_worker_that_ended_on_purpose_is_not_started_again():
    for name in WORKERS:
        assert SERVICES[name]["command"][0] == "stays-ended"
        assert SERVICES[name]["restart"] == "on-failure"
    assert f"COPY --chmod=755 deploy/{STAYS_ENDED.name} /usr/local/bin/stays-ended" in DOCKERFILE


@pytest.mark.parametrize(("status", "reported"), [(0, 0), (1, 1), (3, 0), (4, 4)])
def test_exit_3_is_an_end_and_everything_else_stays_what_it_was(status, reported):
    assert subprocess.run(["sh", str(STAYS_ENDED), "sh", "-c", f"exit {status}"], check=False).returncode == reported


@pytest.mark.parametrize(("status", "reported"), [(0, 0), (3, 0), (1, 1)])
def test_a_worker_that_is_asked_to_end_is_waited_for(tmp_path, status, reported):
    script = tmp_path / "worker.py"
    script.write_text(
        "import signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), print('committed'), sys.exit({status})))\n"
        "print('here', flush=True)\ntime.sleep(60)\n"
    )
    worker = subprocess.Popen(["sh", str(STAYS_ENDED), sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "here\n"
    worker.terminate()
    rest, _ = worker.communicate(timeout=30)
    assert (rest, worker.returncode) == ("committed\n", reported)


def test_every_secret_is_made_and_every_one_made_is_used(secrets):
    declared = {name: Path(how["file"]) for name, how in COMPOSE["secrets"].items()}
    assert all(file == Path("secrets", name) for name, file in declared.items())
    used = {secret for service in SERVICES.values() for secret in used_secrets(service).values()}
    assert used == set(declared)
    # Made for a person who acknowledges and excludes by hand.
    assert set(secrets) - used == {"rate_store"}
    assert len(set(secrets.values())) == len(secrets)
    Settings(voter_key=secrets["voter_key"]).key  # noqa: B018 - raises if it is none


@PER_SERVICE
def test_a_secret_is_mounted_as_the_setting_or_the_file_that_reads_it(name):
    service = SERVICES[name]
    settings = {f"integrity_{field}" for field in Settings.model_fields}
    told = json.dumps(service)
    for target in used_secrets(service):
        assert (
            target in settings
            or f"/run/secrets/{target}" in told
            or (name, "_password" in target)
            == (
                "postgres",
                True,  # logins.sh reads them
            )
        )


def test_prometheus_scrapes_the_services_where_they_listen():
    jobs = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        job["job_name"]: [target for part in job["static_configs"] for target in part["targets"]]
        for job in jobs["scrape_configs"]
    }
    assert targets["integrity-exporter"] == [f"exporter:{option('exporter', '--port')}"]
    assert targets["integrity-page"] == [f"page:{option('page', '--metrics-port')}"]
    assert targets["integrity-worker"] == [f"{name}:{option(name, '--metrics-port')}" for name in WORKERS]
    hosts = [option("exporter", "--host"), *(option(name, "--metrics-host") for name in (*WORKERS, "page"))]
    assert set(hosts) == {"0.0.0.0"}  # noqa: S104 - of a container: what of it others see, `ports` says
    (manager,) = jobs["alerting"]["alertmanagers"]
    (address,) = manager["static_configs"][0]["targets"]
    assert address.split(":")[0] in SERVICES
    assert SERVICES["alertmanager"]["ports"][0].endswith(address.split(":")[1])


def test_readers_reach_the_page_through_its_proxy_alone():
    text = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    assert f"server page:{option('page', '--port')};" in text
    assert "ports" not in SERVICES["page"]
    (port,) = SERVICES["proxy"]["ports"]
    assert f"listen {port.split(':')[-1]};" in text
    assert SERVICES["page"]["environment"]["INTEGRITY_TRUSTED_PROXIES"]


def test_kafka_is_set_as_the_local_broker_is():
    lines = [line for line in TEMPLATE.read_text().splitlines() if line and not line.startswith("#")]
    local = dict(line.split("=", 1) for line in lines)
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    # Quick starts of tests, and what depends on where it listens.
    own = {"group.initial.rebalance.delay.ms", "broker.session.timeout.ms", "broker.heartbeat.interval.ms"}
    own |= {"log.cleaner.dedupe.buffer.size", "listener.security.protocol.map"}
    assert {key: given.get(key) for key in local if key not in own} == {k: v for k, v in local.items() if k not in own}
    where = {"listeners", "advertised.listeners", "inter.broker.listener.name", "controller.quorum.voters", "log.dirs"}
    assert given.keys() - local.keys() == where
    listeners = dict(each.split("://") for each in given["advertised.listeners"].split(","))
    assert f"kafka://{listeners['PLAINTEXT']}" == option("worker-1", "--source") == option("topics", "--to")
    assert SERVICES["kafka"]["ports"] == [f"{listeners['HOST']}:{listeners['HOST'].split(':')[1]}"]
    assert given["log.dirs"] in dict(mounts(SERVICES["kafka"])).values()


def test_what_the_dockerfile_copies_is_there_and_is_not_ignored():
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line[1:] for line in ignore if line.startswith("!")]
    copies = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    sources = [word for line in copies if not line[0].startswith("--from") for word in line if word[:2] != "--"]
    assert {"pipeline", "expectations", "dags", "requirements.lock"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in kept), source
    assert {each.split("/")[0] for each in kept} <= {each.name for each in ROOT.iterdir()}


def test_the_images_have_a_target_for_each_service_and_nobody_runs_as_root():
    stages = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert len(stages) == len(re.findall(r"^FROM ", DOCKERFILE, re.MULTILINE))
    for name, service in (OURS | AIRFLOW).items():
        build = service["build"]
        assert build["target"] in stages, name
        assert (DEPLOY / build["context"]).resolve() == ROOT
        assert (ROOT / build["dockerfile"]).is_file()
    for stage in re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[-2:]:
        assert re.findall(r"^USER (\d+)$", stage, re.MULTILINE)[-1] != "0"
    for base in re.findall(r"^FROM (\S+) AS", DOCKERFILE, re.MULTILINE):
        assert base in stages or re.fullmatch(r"python:3\.1[123]-slim\$\{PYTHON_DIGEST\}", base)


def test_the_database_of_the_stacks_has_the_same_settings() -> None:
    program, *options = SERVICES["postgres"]["command"]
    assert program == "postgres"
    assert dict(one.split("=") for one in options if one != "-c") == SIZED
