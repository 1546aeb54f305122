"""What the people on call read: the texts for Slack, e-mail and webhook, by Alertmanager's own tools."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.devstack.monitoring import AlertmanagerServer
from tests.conftest import started
from tests.integration.test_alertmanager import asked

FOLDER = Path(__file__).parents[2] / "deploy" / "alertmanager"
HOSTILE = "<!channel> & {{ .Nothing }}"
ALERT = {
    "status": "firing",
    "labels": {
        "alertname": "IntegrityIncidentOpen", "board": "text", "incident": "0a1b2c3d4e5f", "severity": "critical",
        "stage": "detector",
    },
    "annotations": {
        "summary": f"31 accounts lifted {HOSTILE}",
        "description": "How sure: very strong evidence (e-value 3e+06).\nWhat to do: look at its accounts.",
        "incident_url": "https://board.test/incidents/0a1b2c3d4e5f",
        "runbook_url": "https://board.test/runbooks/incident-lifted",
        "dashboard_url": "https://grafana.test/d/integrity-incident?var-board=text&var-incident=0a1b2c3d4e5f",
    },
    "startsAt": "2026-11-01T14:02:00Z",
    "endsAt": "2026-11-01T16:40:00Z",
}  # fmt: skip


def rendered(amtool: str, folder: Path, name: str, status: str = "firing", kind: str = "text") -> str:
    data = {
        "receiver": "page",
        "status": status,
        "alerts": [ALERT | {"status": status}],
        "groupLabels": {"board": "text"},
        "commonLabels": ALERT["labels"],
        "commonAnnotations": ALERT["annotations"],
    }
    path = folder / "data.json"
    path.write_text(json.dumps(data))
    command = [
        amtool, "template", "render", f"--template.glob={FOLDER}/templates/*.tmpl", f"--template.data={path}",
        f"--template.type={kind}", f'--template.text={{{{ template "{name}" . }}}}',
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_line_says_what_happened_and_whether_it_is_over(amtool, tmp_path):
    assert rendered(amtool, tmp_path, "integrity.title").strip() == f"PAGE text: 31 accounts lifted {HOSTILE}"
    assert rendered(amtool, tmp_path, "integrity.title", "resolved").startswith("OVER text: 31 accounts lifted")
    assert rendered(amtool, tmp_path, "integrity.color", "resolved").strip() == "good"
    assert rendered(amtool, tmp_path, "integrity.link").strip() == ALERT["annotations"]["incident_url"]


def test_slack_mentions_nobody_because_of_a_models_name_and_has_the_links(amtool, tmp_path):
    for name in ("integrity.slack", "integrity.slack.title"):
        text = rendered(amtool, tmp_path, name)
        assert "lifted &lt;!channel&gt; &amp; {{ .Nothing }}" in text
    text = rendered(amtool, tmp_path, "integrity.slack")
    assert "\nHow sure: very strong evidence (e-value 3e+06).\nWhat to do: look at its accounts.\n" in text
    for link, word in (("incident_url", "Incident"), ("runbook_url", "Runbook"), ("dashboard_url", "Dashboard")):
        assert f"<{ALERT['annotations'][link]}|{word}>" in text


def test_the_mail_has_the_links_and_the_times_in_both_its_forms(amtool, tmp_path):
    text = rendered(amtool, tmp_path, "integrity.text", "resolved")
    assert "Fired:     2026-11-01 14:02 UTC\nOver:      2026-11-01 16:40 UTC" in text
    assert f"Runbook:   {ALERT['annotations']['runbook_url']}" in text
    page = rendered(amtool, tmp_path, "integrity.html", kind="html")
    assert 'white-space: pre-line">How sure: very strong evidence (e-value 3e&#43;06).\nWhat to do: look' in page
    assert "31 accounts lifted &lt;!channel&gt; &amp; {{ .Nothing }}</h1>" in page
    assert f'<a href="{ALERT["annotations"]["incident_url"]}">Incident</a>' in page


def configured(folder: Path, **webhook: Any) -> Path:
    """The deployed configuration with the receivers to copy, of which the webhooks are ours."""
    configuration = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    receivers = yaml.safe_load((FOLDER / "receivers.yml").read_text())["receivers"]
    names = {one["name"] for one in configuration["receivers"]}
    assert {one["name"] for one in receivers} == names
    if webhook:
        receivers = [{"name": name, "webhook_configs": [webhook]} for name in names]
        configuration["route"]["group_wait"] = "0s"
        for route in configuration["route"]["routes"]:
            route["group_wait"] = "0s"
    path = folder / "alertmanager.yml"
    path.write_text(
        yaml.safe_dump(configuration | {"receivers": receivers, "templates": [f"{FOLDER}/templates/*.tmpl"]})
    )
    return path


def test_amtool_accepts_the_receivers_and_the_templates(amtool, tmp_path):
    done = subprocess.run(
        [amtool, "check-config", str(configured(tmp_path))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 templates" in done.stdout


@contextmanager
def listening() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A receiver of webhooks on the loopback, and what it has heard."""
    heard: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, heard
    server.shutdown()
    thread.join()
    server.server_close()


class Configured(AlertmanagerServer):
    """An Alertmanager with another configuration."""

    configuration: Path

    def _command(self) -> list[str]:
        own = f"--config.file={self.configuration}"
        return [own if word.startswith("--config.file=") else word for word in super()._command()]


@pytest.mark.prometheus
@pytest.mark.usefixtures("amtool")
@pytest.mark.long
def test_a_webhook_hears_each_incident_by_itself_with_its_links(tmp_path):
    with listening() as (port, heard):
        server = Configured(tmp_path / "alertmanager")
        server.configuration = configured(tmp_path, url=f"http://127.0.0.1:{port}/")
        with started(server):
            first = {"labels": ALERT["labels"], "annotations": ALERT["annotations"]}
            asked(server.port, "alerts", [first])
            wait_for(lambda: len(heard) == 1)
            # The second campaign is told at once, while the first is open.
            asked(server.port, "alerts", [first, {**first, "labels": ALERT["labels"] | {"incident": "ffeeddccbbaa"}}])
            wait_for(lambda: len(heard) == 2)
    assert [one["groupLabels"]["incident"] for one in heard] == ["0a1b2c3d4e5f", "ffeeddccbbaa"]
    (alert,) = heard[1]["alerts"]
    assert alert["annotations"] == ALERT["annotations"]


def wait_for(told: Any) -> None:
    pause = threading.Event()
    for _ in range(200):
        if told():
            return
        pause.wait(0.1)
    raise AssertionError("expected a message within 20 s")
