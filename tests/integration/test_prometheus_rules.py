"""Alert rules: valid to Prometheus's own tools, tested, and each with somebody to read about it."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.devstack.slo_rules import DEFINITIONS, rules_text
from pipeline.devstack.slo_rules import RULES as SLO_RULES
from pipeline.metrics import ApiMetrics, FollowMetrics, StoreCollector, StoreStatus, WorkerMetrics

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
SECTIONS = [
    "What you see",
    "What it means",
    "How urgent",
    "First three commands",
    "When to ignore it",
    "How to know that it is over",
]
SCRAPE_SECONDS = 15
RUNBOOKS = {path.stem for path in (DEPLOY / "runbooks").glob("*.md")}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


ALL_RULES = [
    rule
    for path in sorted((PROMETHEUS / "rules").glob("*.yml"))
    for group in load(path)["groups"]
    for rule in group["rules"]
]
RULES = [rule for rule in ALL_RULES if "alert" in rule]
RECORDED = {rule["record"] for rule in ALL_RULES if "record" in rule}
CASES = [case for path in TESTS for test in load(path)["tests"] for case in test["alert_rule_test"]]
PER_RULE = pytest.mark.parametrize(
    "rule", RULES, ids=[f"{rule['alert']}-{rule['labels']['severity']}" for rule in RULES]
)


def seconds(duration: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smh])", duration).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def runbooks_of(rule: dict[str, Any]) -> set[str]:
    """The runbooks that the link of a rule can lead to."""
    quoted = re.findall(r'\$name :?= "([a-z-]+)"', rule["annotations"]["runbook_url"])
    return set(quoted) or {rule["annotations"]["runbook_url"].rpartition("/")[2]}


def test_the_rules_about_error_budgets_are_those_of_their_definitions():
    with DEFINITIONS.open("rb") as file:
        assert SLO_RULES.read_text(encoding="utf-8") == rules_text(tomllib.load(file))


def succeeds(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_and_the_rules_are_valid(promtool):
    succeeds(promtool, "check", "config", PROMETHEUS / "prometheus.yml")
    succeeds(promtool, "check", "rules", *(PROMETHEUS / "rules").glob("*.yml"))


@pytest.mark.parametrize("path", TESTS, ids=[path.stem for path in TESTS])
@pytest.mark.long
def test_rules_fire_and_do_not_fire_as_they_should(promtool, path):
    succeeds(promtool, "test", "rules", path)


def test_alertmanager_accepts_its_configuration(amtool):
    succeeds(amtool, "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")


@PER_RULE
def test_a_rule_says_what_is_wrong_how_bad_it_is_and_where_to_read_on(rule):
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    begin, _, _ = rule["annotations"]["runbook_url"].rpartition("/runbooks/")
    assert begin.endswith("{{ $externalLabels.external_url }}")
    assert runbooks_of(rule)
    assert runbooks_of(rule) <= RUNBOOKS


@PER_RULE
def test_a_rule_waits_for_two_scrapes(rule):
    assert seconds(rule["for"]) >= 2 * SCRAPE_SECONDS
    assert load(PROMETHEUS / "prometheus.yml")["global"]["scrape_interval"] == f"{SCRAPE_SECONDS}s"


@PER_RULE
def test_a_rule_has_a_test_that_fires_and_one_that_does_not(rule):
    cases = [case["exp_alerts"] for case in CASES if case["alertname"] == rule["alert"]]
    fired = [alert["exp_labels"]["severity"] for alerts in cases for alert in alerts]
    assert rule["labels"]["severity"] in fired
    assert [] in cases


def test_a_detector_outlasts_every_alert_that_inhibits_it():
    blind = max(seconds(rule["for"]) for rule in RULES if rule["labels"]["stage"] == "pipeline")
    detectors = [rule for rule in RULES if rule["labels"]["stage"] == "detector"]
    assert detectors
    for rule in detectors:
        # A rule about incidents holds by itself, but only while the exporter does not answer.
        held = re.findall(
            r"last_over_time\(.*\[(\w+)\]\)\s+unless on \(board\) integrity_exporter_store_up == 1", rule["expr"]
        )
        assert seconds(held[0] if held else rule["keep_firing_for"]) > blind


def test_the_pipeline_inhibits_the_detectors():
    inhibitions = load(DEPLOY / "alertmanager" / "alertmanager.yml")["inhibit_rules"]
    assert {
        "source_matchers": ['stage="pipeline"'],
        "target_matchers": ['stage="detector"'],
        "equal": ["board"],
    } in inhibitions


def test_every_name_in_an_inhibition_is_a_rule():
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    named = {name for names in re.findall(r'alertname=~?"([^"]+)"', text) for name in names.split("|")}
    assert named <= {rule["alert"] for rule in RULES}


@PER_RULE
def test_a_rule_only_uses_metrics_that_there_are(rule):
    counted = (WorkerMetrics().registry, ApiMetrics().registry, FollowMetrics().registry)
    families = [*StoreCollector(StoreStatus).collect(), *(one for each in counted for one in each.collect())]
    suffixes = {"counter": "_total", "histogram": "_bucket"}
    there = {family.name + suffixes.get(family.type, "") for family in families}
    there |= {each.metadata["name"] for each in StoreStatus.__dataclass_fields__.values()}
    text = "\n".join([rule["expr"], *rule["annotations"].values()])
    used = set(re.findall(r"integrity_\w+", text))
    assert set(re.findall(r"slo:\w+:\w+", text)) <= RECORDED
    assert used <= there


@pytest.mark.parametrize("path", sorted((DEPLOY / "runbooks").glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_begins_with_what_one_sees_and_ends_with_how_to_know_that_it_is_over(path):
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    first = text.partition("## First three commands\n```sh\n")[2].partition("```")[0]
    assert len(re.findall(r"^integrity \w+", first, re.MULTILINE)) == 3
    assert all((path.parent / link).is_file() for link in re.findall(r"\]\(([\w-]+\.md)\)", text))


@pytest.mark.parametrize("name", ["worker-halted", "too-many-rejects", "offset-gap", "quality-gate"])
def test_every_halt_of_the_error_tree_has_its_runbook(name):
    assert (DEPLOY / "runbooks" / f"{name}.md").is_file()
