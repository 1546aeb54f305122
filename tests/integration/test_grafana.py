"""The dashboards: valid to Grafana's own models, with queries that Prometheus understands, of metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard

from pipeline.metrics import StoreStatus, WorkerMetrics

DEPLOY = Path(__file__).parents[2] / "deploy"
GRAFANA = DEPLOY / "grafana"
DASHBOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
PANELS = [panel for dashboard in DASHBOARDS.values() for panel in dashboard["panels"]]
NOTES = [note for dashboard in DASHBOARDS.values() for note in dashboard["annotations"]["list"]]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]] + [note["expr"] for note in NOTES]
EACH = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
# Variables of Grafana itself.
OWN = {"__data", "__interval", "__rate_interval"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def inside(given: Any, known: Any, where: str = "") -> list[str]:
    """The places of `given` that Grafana's models have dropped or changed."""
    if isinstance(given, dict):
        if not isinstance(known, dict):
            return [where]
        return [bad for key, value in given.items() for bad in inside(value, known.get(key), f"{where}.{key}")]
    if isinstance(given, list):
        if not isinstance(known, list) or len(given) != len(known):
            return [where]
        return [
            bad
            for n, (one, two) in enumerate(zip(given, known, strict=True))
            for bad in inside(one, two, f"{where}[{n}]")
        ]
    return [] if given == known else [where]


@EACH
def test_every_field_is_one_that_grafanas_own_models_have(dashboard: dict[str, Any]) -> None:
    known = json.loads(json.dumps(Dashboard.from_json(dashboard).to_json(), default=lambda one: one.to_json()))
    # A query of Prometheus in an annotation is the plug-in's own, and so are the options of a panel.
    plugin = re.compile(r"\.annotations\.list\[\d+\]\.(expr|step|titleFormat|textFormat)$")
    assert [where for where in inside(dashboard, known) if not plugin.search(where)] == []


@EACH
def test_a_dashboard_can_be_read(dashboard: dict[str, Any]) -> None:
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    assert {"datasource", "board", "external_url"} <= variables
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
    assert used - OWN <= variables
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    places = set()
    for panel in dashboard["panels"]:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"] not in ("", "short")
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, f"{panel['title']} lies on another panel"
        assert max(x for x, _ in cells) < 24
        places |= cells
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_open_incidents_lead_to_the_page_and_to_their_dashboard() -> None:
    (table,) = (panel for panel in PANELS if panel["title"] == "Open incidents")
    (links,) = (one["value"] for one in table["fieldConfig"]["overrides"][0]["properties"] if one["id"] == "links")
    page, own = (link["url"] for link in links)
    assert page == "${external_url}/incidents/${__data.fields.incident}"
    uid = re.match(r"/d/([\w-]+)\?", own)
    assert uid
    assert uid[1] == DASHBOARDS["incident"]["uid"]
    rules = (DEPLOY / "prometheus" / "rules" / "incidents.yml").read_text(encoding="utf-8")
    linked = set(re.findall(r"grafana_url \}\}/d/([\w-]+)", rules))
    assert linked == {dashboard["uid"] for dashboard in DASHBOARDS.values()}


def test_every_query_is_one_that_prometheus_understands_and_is_about_the_board_that_was_chosen(promtool, tmp_path):
    assert len(QUERIES) >= 20
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
    rules = (DEPLOY / "prometheus" / "rules" / "slo.yml").read_text(encoding="utf-8")
    recorded = set(re.findall(r"record: (\S+)", rules))
    assert {name for query in QUERIES for name in re.findall(r"slo:\w+:\w+", query)} <= recorded


def test_grafana_finds_them_and_asks_the_prometheus_of_compose_unless_another_is_chosen():
    services = load(DEPLOY / "compose.yaml")["services"]
    targets = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    (provider,) = load(GRAFANA / "provisioning" / "dashboards" / "integrity.yml")["providers"]
    assert targets["./grafana/dashboards"] == provider["options"]["path"]
    assert targets["./grafana/provisioning"] == "/etc/grafana/provisioning"
    (source,) = load(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    assert services["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    assert source["url"] == "http://prometheus:9090"
    for dashboard in DASHBOARDS.values():
        (chosen,) = (one for one in dashboard["templating"]["list"] if one["type"] == "datasource")
        assert (chosen["query"], chosen["current"]["value"]) == (source["type"], source["uid"])
    asked = [*PANELS, *NOTES, *(target for panel in PANELS for target in panel["targets"])]
    assert {one["datasource"]["uid"] for one in asked} == {"${datasource}"}
