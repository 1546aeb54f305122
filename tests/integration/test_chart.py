"""deploy/helm: the chart rendered by Helm's own engine, its objects against the schemas.

There is no cluster here, so nothing is installed. The last test runs the rendered commands as processes, with a real
Kafka and a real PostgreSQL.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from deploy.helm.chart_files import CHART, RULES, chart_files
from pipeline.cli.commands import app
from pipeline.settings import PREFIX, Settings, load
from tests.integration.chart_rehearsal import Pod, Rehearsal, mounted_secrets
from tests.integration.chart_schemas import SCHEMAS, faulty, known_fields, used_fields

ROOT = Path(__file__).parents[2]
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
ENGINE = Path(__file__).parents[1] / "helm_engine.py"
EXAMPLES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CHART / "examples").glob("*.yaml"))}
# Versions of Kubernetes: the oldest that the README names, and the newest whose schemas there are.
OLDEST, NEWEST = "1.27", "1.37"
DIGEST = "sha256:" + "ab" * 32

SECURED = {
    "secrets": {"kafka_ssl_password": {"secret": "kafka"}, "postgres_sslpassword": {"secret": "pg"}},
    "kafka": {"securityProtocol": "SSL", "ca": {"secret": "kafka"}, "clientCertificate": {"secret": "kafka"}},
    "database": {"sslMode": "verify-full", "ca": {"secret": "pg"}, "clientCertificate": {"secret": "pg"}},
    "api": {"ingress": {"enabled": True, "host": "board.example"}},
    "image": {"digest": DIGEST}, "imagePullSecrets": ["pull"], "ledger": {"existingClaim": "ledger", "subPath": "text"},
    "settings": {"max_consecutive_rejects": 1_000_000, "lateness_minutes": 0.5, "decoder_process": False, "anchor": ""},
    "networkPolicy": {"kafkaExtraPorts": [9095], "dns": [], "apiFrom": [], "metricsFrom": []},
    "scheduling": {"nodeSelector": {"pool": "votes"}, "tolerations": [{"key": "votes", "operator": "Exists"}]},
    "serviceAccount": {"annotations": {"role": "board"}}, "podLabels": {"team": "board"}, "podAnnotations": {"a": "b"},
}  # fmt: skip
BARE = {
    "exporter": {"enabled": False}, "migrations": {"enabled": False}, "networkPolicy": {"enabled": False},
    "kafka": {"createTopics": False}, "serviceAccount": {"create": False}, "fullnameOverride": "a" * 60,
    "api": {"enabled": False}, "monitor": {"podDisruptionBudget": {"enabled": False}},
}  # fmt: skip
ARCHIVED: dict[str, Any] = {
    "archive": {"existingClaim": "archive"}, "secrets": {"archive_key": {"secret": "leaderboard-integrity"}},
}  # fmt: skip
# The folder is that of another release's run, or of one by hand; the longest name of a release.
BY_HAND = {**ARCHIVED, "archive": {"existingClaim": "archive", "schedule": ""}}
LONG = {**ARCHIVED, "archive": {"existingClaim": "archive", "subPath": "text"}, "fullnameOverride": "a" * 60}
GOOD: dict[str, dict[str, Any]] = {
    "defaults": {}, **EXAMPLES, "secured": SECURED, "bare": BARE, "archived": ARCHIVED, "archived by hand": BY_HAND,
    "archived, operators sign in": {**ARCHIVED, "api": {"role": "rate", "stickySessions": True}},
    "archived, long name": LONG,
}  # fmt: skip
MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "a setting that does not exist": ({"settings": {"lateness": 3}}, "lateness"),
    "a setting out of its range": ({"settings": {"lateness_minutes": -1}}, "lateness_minutes"),
    "a secret among the settings": ({"settings": {"voter_key": "5e" * 32}}, "voter_key"),
    "a value that does not exist": ({"worker": {"replicas": 3}}, "worker"),
    "no broker": ({"kafka": {"brokers": []}}, "brokers"),
    "a broker without a port": ({"kafka": {"brokers": ["kafka"]}}, "brokers"),
    "an archive without a key": ({"archive": {"existingClaim": "archive"}}, "secrets.archive_key.secret: expected"),
    "an archive's key without a volume": (
        {"secrets": {"archive_key": {"secret": "board"}}},
        "archive.existingClaim: expected",
    ),
    "a schedule of four fields": ({**ARCHIVED, "archive": {"schedule": "20 3 * *"}}, "schedule"),
    "the archive's folder among the settings": ({"settings": {"archive": "/archive"}}, "archive"),
    "no store": ({"database": {"stores": {"ingest": {"secret": ""}}}}, "ingest"),
    "more workers than partitions": ({"workers": {"scaling": {"minReplicas": 5}}}, "minReplicas: expected at most 4"),
    "a login without a mechanism": ({"kafka": {"securityProtocol": "SASL_SSL"}}, "kafka.saslMechanism: expected PLAIN"),
    "a login without a password": (
        {"kafka": {"securityProtocol": "SASL_SSL", "saslMechanism": "PLAIN"}},
        "secrets.kafka_sasl_plain_password.secret: expected",
    ),
    "a token, which KEDA cannot take from here": (
        {"kafka": {"securityProtocol": "SASL_SSL", "saslMechanism": "OAUTHBEARER"}},
        "workers.scaling.authentication: expected",
    ),
    "sessions in several pods": ({"api": {"role": "rate"}}, "expected one replica, or api.stickySessions"),
    "an ingress without a host": ({"api": {"ingress": {"enabled": True}}}, "api.ingress.host: expected"),
}  # fmt: skip

Objects = list[dict[str, Any]]
long_with_helm = [pytest.mark.long, pytest.mark.helm]


def test_the_copies_in_the_chart_are_those_of_their_sources() -> None:
    for path, text in chart_files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make chart-files`"
    assert {path.name for path in (CHART / "files" / "rules").iterdir()} == {path.name for path in RULES.glob("*.yml")}


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value and set(value) != {"secret", "key"}:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_the_readme_describes_every_value_and_no_other() -> None:
    readme = (CHART / "README.md").read_text(encoding="utf-8")
    described = re.findall(r"^\| `([^`/]+)` \|", readme, re.MULTILINE)
    assert sorted(described) == sorted(set(described))
    covered = {leaf: [one for one in described if leaf == one or leaf.startswith(f"{one}.")] for leaf in leaves(VALUES)}
    assert {leaf for leaf, found in covered.items() if len(found) != 1} == set()
    assert set(described) == {one for found in covered.values() for one in found}
    for example in EXAMPLES:
        assert f"examples/{example}.yaml" in readme


def test_the_chart_has_the_version_of_the_package() -> None:
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["appVersion"], chart["version"]) == (package, package)


@pytest.fixture(scope="session")
def answers(helm_tools: Path) -> dict[str, Any]:
    """What Helm makes of all cases, in one process."""
    cases: dict[str, Any] = {name: {"values": values} for name, values in GOOD.items()}
    cases["upgrade"] = {"values": {}, "upgrade": True}
    cases["secured"]["kubernetes"] = [OLDEST, NEWEST]
    cases |= {name: {"values": values} for name, (values, _) in MISTAKES.items()}
    asked = json.dumps({"chart": str(CHART), "cases": cases, "kubernetes": [NEWEST]})
    command = [sys.executable, str(ENGINE), str(helm_tools)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(params=[*GOOD, "upgrade"], scope="session")
def objects(request: pytest.FixtureRequest, answers: dict[str, Any]) -> Objects:
    """The objects of a case that renders."""
    found = answers["cases"][request.param]
    assert "error" not in found, found
    made: Objects = found["objects"]
    return made


def of_kind(objects: Objects, *kinds: str) -> Objects:
    return [one for one in objects if one["kind"] in kinds]


def pods(objects: Objects) -> dict[str, Pod]:
    """Component → the only container of its pod, with the volumes."""
    specs = [one["spec"]["template"] for one in of_kind(objects, "Deployment", "Job")]
    specs += [one["spec"]["jobTemplate"]["spec"]["template"] for one in of_kind(objects, "CronJob")]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: Pod(one) for one in specs}


class TestRendered:
    """What holds for every set of values."""

    pytestmark = long_with_helm

    def test_helm_and_the_schemas_of_kubernetes_find_no_fault(self, answers):
        assert {name: found for name, found in answers["lint"].items() if found} == {}
        assert [fault for one in answers["cases"].values() for fault in one.get("invalid", ())] == []

    def test_objects_of_keda_and_the_prometheus_operator_match_their_documentation(self, objects):
        for one in custom(objects):
            jsonschema.validate(one, SCHEMAS[one["kind"]], jsonschema.Draft202012Validator)

    def test_names_are_unique_and_short_enough_and_everything_is_in_the_namespace(self, objects):
        names = [(one["kind"], one["metadata"]["name"]) for one in objects]
        assert len(names) == len(set(names))
        assert max(len(name) for _, name in names) <= 63
        assert all(len(name) <= 52 for kind, name in names if kind == "CronJob")
        assert {one["metadata"]["namespace"] for one in objects} == {"board"}
        assert of_kind(objects, "Secret", "Role", "ClusterRole", "RoleBinding") == []

    def test_a_command_is_a_verb_with_options_that_it_has(self, objects):
        group = typer.main.get_command(app)
        for pod in pods(objects).values():
            assert pod.container["command"] == ["integrity"]
            verb, *rest = pod.container["args"]
            command = group.get_command(group.make_context("integrity", [verb, *rest]), verb)
            assert command is not None
            command.make_context(verb, rest)

    def test_a_variable_is_a_setting_with_a_value_that_it_takes_and_no_secret(self, objects):
        keys = {"VOTER_KEY", "ARCHIVE_KEY", "LEDGER_KEY", "PUBLISHERS"}
        hidden = {"STORE", *keys, "POSTGRES_PASSWORD", "KAFKA_SASL_PLAIN_PASSWORD"}
        for name, pod in pods(objects).items():
            given = {one["name"].removeprefix(PREFIX): one["value"] for one in pod.container["env"]}
            assert len(given) == len(pod.container["env"])
            assert not hidden & set(given)
            Settings(**{setting.lower(): value for setting, value in given.items()})  # raises if it is not one
            assert all(one["name"].startswith(PREFIX) for one in pod.container["env"]), name
            assert {path.removeprefix("integrity_") for path in pod.secret_files()} <= set(Settings.model_fields)

    def test_a_process_has_the_secrets_that_it_needs_and_no_other(self, objects):
        for name, pod in pods(objects).items():
            optional = {"integrity_kafka_ssl_password", "integrity_kafka_sasl_plain_password", "integrity_publishers"}
            expected = {
                "topics": set(),
                "api": {"integrity_store"},
                "exporter": {"integrity_store"},
                "archive": {"integrity_store"},
            }.get(name, {"integrity_store", "integrity_voter_key"})
            if archive_volume(pod) and store_key(pod) != "read_store":
                expected = expected | {"integrity_archive_key"}
            found = set(pod.secret_files()) - optional - {"integrity_postgres_sslpassword"}
            assert found == expected, name
        store = pods(objects)["worker"].secret_files()["integrity_store"]
        assert store[1] == "ingest_store"

    def test_pods_are_confined(self, objects):
        for name, pod in pods(objects).items():
            whole, own = pod.spec["securityContext"], pod.container["securityContext"]
            assert whole["runAsNonRoot"] is True
            assert whole["runAsUser"] == 10001, "the user of deploy/Dockerfile"
            assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
            assert own["readOnlyRootFilesystem"] is True
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert pod.spec["automountServiceAccountToken"] is False
            assert {"requests", "limits"} <= set(pod.container["resources"]), name
            writable = [one["mountPath"] for one in pod.container["volumeMounts"] if not one.get("readOnly")]
            own_folders = ["/var/lib/integrity/archive"] if name == "archive" else []
            assert writable == ["/tmp", *own_folders], name  # noqa: S108

    def test_selectors_find_their_pods(self, objects):
        labels = {name: pod.labels for name, pod in pods(objects).items()}
        for one in of_kind(objects, "Deployment", "PodDisruptionBudget", "PodMonitor"):
            component = one["metadata"]["labels"]["app.kubernetes.io/component"]
            assert one["spec"]["selector"]["matchLabels"].items() <= labels[component].items()
        for one in of_kind(objects, "Service"):
            assert one["spec"]["selector"].items() <= labels["api"].items()
        deployments = {one["metadata"]["name"] for one in of_kind(objects, "Deployment")}
        scalers = of_kind(objects, "ScaledObject", "HorizontalPodAutoscaler")
        scaled = {one["spec"]["scaleTargetRef"]["name"] for one in scalers}
        assert scaled <= deployments
        for one in of_kind(objects, "Deployment"):
            assert ("replicas" in one["spec"]) is (one["metadata"]["name"] not in scaled)

    def test_keda_reads_the_lag_of_the_group_and_topic_that_workers_read(self, objects):
        for one in of_kind(objects, "ScaledObject"):
            worker = pods(objects)["worker"]
            given = {each["name"]: each["value"] for each in worker.container["env"]}
            asked = one["spec"]["triggers"][0]["metadata"]
            assert all(isinstance(value, str) for value in asked.values())
            assert asked["consumerGroup"] == given["INTEGRITY_GROUP"]
            assert asked["topic"] == given["INTEGRITY_TOPIC_VOTES"]
            assert f"kafka://{asked['bootstrapServers']}" in worker.container["args"]
            assert one["spec"]["maxReplicaCount"] <= int(given["INTEGRITY_PARTITIONS"])
            assert (asked["tls"] == "enable") is given["INTEGRITY_KAFKA_SECURITY_PROTOCOL"].endswith("SSL")

    def test_rules_and_targets_are_those_of_the_other_deployments(self, objects):
        sources = {path.stem: yaml.safe_load(path.read_text()) for path in RULES.glob("*.yml")}
        rules = of_kind(objects, "PrometheusRule")
        for one in rules:
            source = sources[one["metadata"]["name"].rpartition("-")[2]]
            if "$externalLabels" in json.dumps(one):
                assert one["spec"] == source
            else:  # links begin with the addresses of the values
                assert len(json.dumps(one)) < 2 * len(json.dumps(source))
                assert "https://board.example/runbooks/" in json.dumps(one)
        assert len(rules) in (0, len(sources))
        scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
        jobs = {one["job_name"]: one for one in scraped}
        for one in of_kind(objects, "PodMonitor"):
            endpoint = one["spec"]["podMetricsEndpoints"][0]
            labels = {each["targetLabel"]: each["replacement"] for each in endpoint["relabelings"]}
            assert labels["job"] in jobs
            assert endpoint["interval"] == jobs[labels["job"]].get("scrape_interval", "15s")
            assert labels["board"] == "text"

    def test_policies_deny_everything_and_allow_what_each_process_needs(self, objects):
        policies = of_kind(objects, "NetworkPolicy")
        if not policies:
            return
        by_name = {one["metadata"]["name"].rpartition("-")[2]: one["spec"] for one in policies}
        assert by_name["deny"]["policyTypes"] == ["Ingress", "Egress"]
        assert not {"ingress", "egress"} & set(by_name["deny"])
        for name, pod in pods(objects).items():
            assert by_name["deny"]["podSelector"]["matchLabels"].items() <= pod.labels.items()
            kafka, store = "integrity_store" in pod.secret_files(), "postgres"
            assert (name in components(by_name[store])) is kafka
            assert (name in components(by_name["kafka"])) is (name in ("worker", "topics"))
            assert (name in components(by_name["metrics"])) is ("metrics" in pod.ports())
        brokers = VALUES["kafka"]["brokers"]
        assert brokers == ["kafka:9092"]
        ports = {each["port"] for rule in by_name["kafka"]["egress"] for each in rule["ports"]}
        source = next(word for word in pods(objects)["worker"].container["args"] if word.startswith("kafka://"))
        assert {int(one.rpartition(":")[2]) for one in source.split(",")} <= ports


def archive_volume(pod: Pod) -> dict[str, Any] | None:
    """The claim of the archive's volume; None if the pod has none."""
    found = [one["persistentVolumeClaim"] for one in pod.spec["volumes"] if one["name"] == "archive"]
    return found[0] if found else None


def store_key(pod: Pod) -> str:
    """The key of the Secret that has the pod's store URL, which names its role."""
    return pod.secret_files()["integrity_store"][1]


def components(policy: dict[str, Any]) -> list[str]:
    found: list[str] = policy["podSelector"]["matchExpressions"][0]["values"]
    return found


def custom(objects: Objects) -> Objects:
    """The objects whose definition is not part of Kubernetes."""
    core = re.compile(r"(\w+/)?v\d+|[\w.]+\.k8s\.io/.*")
    return [one for one in objects if not core.fullmatch(one["apiVersion"])]


@pytest.mark.long
@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_has_no_field_that_the_chart_does_not_render(answers, kind):
    rendered = [one for name in GOOD for one in of_kind(answers["cases"][name]["objects"], kind)]
    assert known_fields(SCHEMAS[kind]) <= used_fields(rendered)


@pytest.mark.long
@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_wrong_field_or_type_is_refused_wherever_it_is(answers, kind):
    schema = jsonschema.Draft202012Validator(SCHEMAS[kind])
    one = of_kind(answers["cases"]["managed"]["objects"], kind)[0]
    assert schema.is_valid(one)
    assert [place for place, changed in faulty(one, one) if schema.is_valid(changed)] == []
    assert schema.is_valid(one)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("ScaledObject", "spec"), ("ScaledObject", "spec/scaleTargetRef"), ("ScaledObject", "spec/scaleTargetRef/name"),
        ("ScaledObject", "spec/triggers"), ("ScaledObject", "spec/triggers/0/type"),
        ("ScaledObject", "spec/triggers/0/metadata"), ("ScaledObject", "spec/triggers/0/metadata/bootstrapServers"),
        ("ScaledObject", "spec/triggers/0/authenticationRef/name"), ("ScaledObject", "spec/fallback/failureThreshold"),
        ("ScaledObject", "spec/fallback/replicas"),
        ("ScaledObject", "spec/advanced/horizontalPodAutoscalerConfig/behavior/scaleUp/policies/0/periodSeconds"),
        ("TriggerAuthentication", "spec/env/0/name"), ("TriggerAuthentication", "spec/env/0/parameter"),
        ("TriggerAuthentication", "spec/secretTargetRef/0/key"),
        ("TriggerAuthentication", "spec/secretTargetRef/0/name"),
        ("TriggerAuthentication", "spec/secretTargetRef/0/parameter"),
        ("PodMonitor", "spec"), ("PodMonitor", "spec/selector"), ("PodMonitor", "spec/podMetricsEndpoints/0/port"),
        ("PrometheusRule", "spec"), ("PrometheusRule", "spec/groups/0/name"),
        ("PrometheusRule", "spec/groups/0/rules/0/expr"),
    ],
)  # fmt: skip
def test_a_missing_field_is_refused(answers, kind, place):
    one = copy.deepcopy(of_kind(answers["cases"]["managed"]["objects"], kind)[0])
    *above, name = place.split("/")
    part = one
    for each in above:
        part = part[int(each) if each.isdigit() else each]
    del part[name]
    assert not jsonschema.Draft202012Validator(SCHEMAS[kind]).is_valid(one)


@pytest.mark.long
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_and_named(answers, mistake):
    found = answers["cases"][mistake]
    assert MISTAKES[mistake][1] in found.get("error", f"rendered {len(found.get('objects', ()))} objects")


@pytest.mark.long
@pytest.mark.parametrize("case", [name for name in GOOD if name.startswith("archived")])
def test_who_reads_archived_votes_has_their_folder_and_only_the_run_that_moves_them_writes_there(answers, case):
    found = pods(answers["cases"][case]["objects"])
    having = {name: claim for name, pod in found.items() if (claim := archive_volume(pod))}
    run = set() if case == "archived by hand" else {"archive"}
    assert set(having) == {"worker", "monitor", "api", "exporter", "migrations"} | run
    assert {name for name, claim in having.items() if not claim.get("readOnly")} == run
    for name in having:
        (mount,) = [one for one in found[name].container["volumeMounts"] if one["name"] == "archive"]
        env = {one["name"]: one["value"] for one in found[name].container["env"]}
        assert env["INTEGRITY_ARCHIVE"] == mount["mountPath"]
        assert mount.get("readOnly", False) is (name not in run)
        assert mount.get("subPath") == GOOD[case]["archive"].get("subPath")
    if run:
        assert found["archive"].container["args"] == ["archive", "--json"]
        assert found["archive"].secret_files()["integrity_store"][1] == "migrate_store"


@pytest.mark.long
def test_a_board_without_an_archive_has_no_run_that_moves_votes(answers):
    objects = answers["cases"]["defaults"]["objects"]
    assert of_kind(objects, "CronJob") == []
    assert [name for name, pod in pods(objects).items() if archive_volume(pod)] == []


@pytest.mark.long
def test_settings_are_read_from_secrets_as_the_kubelet_mounts_them(answers, tmp_path, monkeypatch):
    pod = pods(answers["cases"]["managed"]["objects"])["worker"]
    texts = {"ingest_store": "postgresql://a:b@host/board", "voter_key": "5e" * 32}
    texts |= {"password": "pw", "publishers": "a=b"}
    monkeypatch.setenv("INTEGRITY_SECRETS_DIR", str(mounted_secrets(pod, texts, tmp_path)))
    for one in pod.container["env"]:
        monkeypatch.setenv(one["name"], one["value"])
    found = load()
    assert (found.store, found.voter_key) == (texts["ingest_store"], texts["voter_key"])
    assert (found.kafka_sasl_plain_password, found.publishers) == ("pw", "a=b")
    assert (found.lateness_minutes, found.group, found.board) == (30.0, "integrity-text", "text")


@pytest.mark.long
def test_the_processes_start_in_their_order_and_answer_their_probes(answers, kafka_server, postgres_url, tmp_path):
    """Hooks first, then the rest, each with its own role, mounted secrets and command line; the page has the votes."""
    url = postgres_url.replace("+psycopg", "")
    stage = Rehearsal(pods(answers["cases"]["defaults"]["objects"]), kafka_server.url, url, tmp_path)
    with stage.roles():
        stage.done("topics")
        assert json.loads(stage.done("migrations"))["roles_granted"] is True
        stage.publish([vote(n) for n in range(40)])
        with stage.running("worker", "monitor", "exporter", "api"):
            for name in ("worker", "exporter", "api"):
                stage.expect_probes(name)
            stage.expect(lambda: stage.metric("exporter", "integrity_votes_total") == 40)
            assert stage.metric("exporter", "integrity_exporter_store_up") == 1
            assert stage.metric("worker", "integrity_worker_votes_total") == 40


def vote(n: int) -> dict[str, Any]:
    models = ("alpha", "beta", "gamma")
    a, b = models[n % 3], models[(n + 1) % 3]
    at = f"2026-03-01T12:{n:02}:00Z"
    whose = {"vote_id": f"v{n}", "voter_id": f"u{n % 7}", "cast_at": at}
    return {"schema": 1, **whose, "model_a": a, "model_b": b, "winner": "tie"}
