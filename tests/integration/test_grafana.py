"""The dashboards: queries that Prometheus understands, of metrics that there are, from where compose puts them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from pipeline.metrics import StoreStatus, WorkerMetrics

DEPLOY = Path(__file__).parents[2] / "deploy"
GRAFANA = DEPLOY / "grafana"
PANELS = json.loads((GRAFANA / "dashboards" / "integrity.json").read_text(encoding="utf-8"))["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_every_query_is_one_that_prometheus_understands_and_is_about_the_board_that_was_chosen(promtool, tmp_path):
    assert len(QUERIES) >= 10
    assert all('board="$board"' in query for query in QUERIES)
    rules = [{"record": f"shown_{n}", "expr": query.replace("$board", "text")} for n, query in enumerate(QUERIES)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_shown_is_one_that_there_is():
    suffixes = {"counter": "_total", "histogram": "_bucket"}
    there = {family.name + suffixes.get(family.type, "") for family in WorkerMetrics().registry.collect()}
    there |= {each.metadata["name"] for each in StoreStatus.__dataclass_fields__.values()}
    assert {name for query in QUERIES for name in re.findall(r"integrity_\w+", query)} <= there


def test_grafana_finds_them_and_asks_the_prometheus_of_compose():
    services = load(DEPLOY / "compose.yaml")["services"]
    targets = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    (provider,) = load(GRAFANA / "provisioning" / "dashboards" / "integrity.yml")["providers"]
    assert targets["./grafana/dashboards"] == provider["options"]["path"]
    assert targets["./grafana/provisioning"] == "/etc/grafana/provisioning"
    (source,) = load(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert services["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    assert source["url"] == "http://prometheus:9090"
    assert {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]} == {source["uid"]}
    assert {panel["datasource"]["uid"] for panel in PANELS} == {source["uid"]}
