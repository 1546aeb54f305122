"""An operator's evening: a planted burst, from the first line on the screen to the board without it, and back.

Every step is the command that the operator would type; the firing rule is Prometheus's own verdict on what the
exporter shows.
"""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.lab.simulate import Burst, HonestSpec, simulate_stream
from tests.command import called

INTEGRITY = str(Path(sys.executable).parent / "integrity")
SETTINGS = {"INTEGRITY_VOTER_KEY": "44" * 32, "INTEGRITY_ANCHOR": ""}
RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
TARGET = "claude-3-haiku-20240307"
ATTACK = Burst(target=TARGET, voters=80, votes=320, minutes=120, from_day=5.5)
WHO = ("--name", "ann")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return called(*words, settings=SETTINGS)


def integrity(*words: str, code: int = 0) -> Any:
    done = run(*words, "--json")
    assert done.returncode == code, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Five honest days and a refresh; then a sixth day with a burst in it, read and watched."""
    folder = tmp_path_factory.mktemp("evening")
    stream = simulate_stream(HonestSpec(votes=30_000, seed=8, days=6.0, models=30), [ATTACK])
    parting = np.searchsorted(stream.cast_at, stream.cast_at[0] + 5 * 86_400_000_000)
    stream.take(slice(0, parting)).write_jsonl(folder / "before.jsonl")
    stream.take(slice(parting, None)).write_jsonl(folder / "after.jsonl")
    store = str(folder / "board.db")
    integrity("work", "--source", str(folder / "before.jsonl"), "--store", store)
    integrity("refresh", "--store", store)
    integrity("work", "--source", str(folder / "after.jsonl"), "--store", store)
    integrity("monitor", "--close", "--store", store)
    return store, folder


@pytest.fixture(scope="module")
def burst(board: tuple[str, Path]) -> dict[str, Any]:
    """The alert about the target, as `integrity alerts` lists it."""
    listed = integrity("alerts", "--state", "open", "--store", board[0])
    mine = [a for a in listed if a["detector"] == "vote_burst" and a["subject"] == {"kind": "model", "id": TARGET}]
    assert len(mine) == 1, [(a["detector"], a["subject"]) for a in listed]
    return mine[0]


@pytest.mark.long
def test_the_burst_stands_in_the_list_with_most_evidence(board: tuple[str, Path], burst: dict[str, Any]) -> None:
    assert burst["severity"] == "critical"
    assert burst["e_value"] > 1e4
    assert integrity("alerts", "--check", "--store", board[0], code=1)
    bursts = [a for a in integrity("alerts", "--store", board[0]) if a["detector"] == "vote_burst"]
    # The models that it is most often shown with get more votes too; evidence is strongest where they were bought.
    assert max(bursts, key=lambda a: a["e_value"])["id"] == burst["id"]


def scraped(store: str) -> str:
    exporter = subprocess.Popen(
        [INTEGRITY, "exporter", "--store", store, "--port", "0"],
        env=os.environ | SETTINGS, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert exporter.stderr is not None
        url = re.search(r"http://\S+/metrics", exporter.stderr.readline())
        assert url
        with urllib.request.urlopen(url[0], timeout=30) as answer:  # noqa: S310  # our own exporter
            text: str = answer.read().decode()
            return text
    finally:
        exporter.terminate()
        exporter.wait(20)


@pytest.mark.long
def test_the_burst_is_in_the_metrics_and_a_rule_fires(
    board: tuple[str, Path], burst: dict[str, Any], promtool: str
) -> None:
    assert burst
    text = scraped(board[0])
    about = f'kind="model",severity="critical",target="{TARGET}"'
    # The exporter's own lines, with the label that Prometheus adds.
    series = [line.replace("{", '{board="text",', 1) for line in text.splitlines() if line.startswith("integrity_inci")]
    mine = [line for line in series if re.search(f"_open{{.*{about}", line)]
    assert len(mine) == 1, series
    incident = re.search(r'incident="(\w+)"', mine[0])
    assert incident
    listed = {one["id"]: one for one in integrity("incidents", "--store", board[0])}
    assert burst["id"] in listed[incident[1]]["alert_ids"]
    check = {
        "rule_files": [str(RULES / "incidents.yml")],
        "evaluation_interval": "15s",
        "tests": [{
            "interval": "15s",
            "input_series": [
                {"series": name, "values": f"{float(value):g}x20"}
                for name, _, value in (one.rpartition(" ") for one in series)
            ],
            "promql_expr_test": [{
                "eval_time": "2m",
                "expr": f'ALERTS{{alertname="IntegrityIncidentOpen",alertstate="firing",incident="{incident[1]}"}}',
                "exp_samples": [{
                    "labels": f'ALERTS{{alertname="IntegrityIncidentOpen",alertstate="firing",board="text",'
                    f'incident="{incident[1]}",severity="critical",stage="detector"}}',
                    "value": 1,
                }],
            }],
        }],
    }  # fmt: skip
    path = board[1] / "rules.yml"
    path.write_text(yaml.safe_dump(check))
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_show_explains_in_plain_words_what_how_unlikely_and_which_votes(
    board: tuple[str, Path], burst: dict[str, Any]
) -> None:
    output = run("alerts", "show", burst["id"], "--store", board[0]).stdout
    assert re.search(
        r"What happened: more than its share: \d+ votes where \d+\.\d are expected, in the last five minutes", output
    )
    assert re.search(
        r"How unlikely: .* expected at most once in [\d,.]+(·10[⁰¹²³⁴-⁹]+|) months \(the e-value over thirty days\)",
        output,
    )
    assert re.search(r"Which votes: \d+ votes by \d+ voters, 2024-07-06T\d\d:\d\d to 2024-07-0\dT\d\d:\d\d UTC", output)
    votes = re.findall(
        r"^  2024-07-06T\d\d:\d\d:\d\d  .*: (?:model_a|model_b|tie|both_bad)  \(\w+\)$", output, re.MULTILINE
    )
    assert len(votes) == 20
    assert all(TARGET in vote for vote in votes)
    # They are those of the burst, not the honest ones that came after it.
    won = re.compile(rf"  {re.escape(TARGET)} against .*: model_a|against {re.escape(TARGET)}: model_b")
    assert sum(won.search(vote) is not None for vote in votes) >= 14
    assert f"\n  integrity alerts exclude {burst['id'][:8]} --name YOU --reason WHY" in output
    assert "Nothing is excluded automatically" in output


def rows(store: str, view: str) -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in integrity("leaderboard", "--view", view, "--store", store)["rows"]}


@pytest.mark.long
def test_exclude_changes_the_defended_board_at_the_next_refresh_and_restore_brings_it_back(
    board: tuple[str, Path], burst: dict[str, Any]
) -> None:
    store = board[0]
    integrity("refresh", "--store", store)
    before = rows(store, "defended")
    refused = run("alerts", "exclude", burst["id"], *WHO, "--store", store)
    assert refused.returncode == 2
    assert "reason" in refused.stderr
    done = integrity("alerts", "exclude", burst["id"], *WHO, "--reason", "bought", "--store", store)
    assert (done["action"], done["kind"], done["name"]) == ("exclude", "votes", "ann")
    assert json.loads(done["target"])["model"] == TARGET
    assert rows(store, "defended") == before  # not before the next refresh
    excluded = integrity("refresh", "--store", store)
    without, raw = rows(store, "defended"), rows(store, "raw")
    assert 250 <= excluded["votes_excluded"] < 1_500
    assert without[TARGET]["votes"] == raw[TARGET]["votes"] - excluded["votes_excluded"]
    assert without[TARGET]["rating"] < before[TARGET]["rating"] - 3
    assert raw[TARGET] == before[TARGET]  # law 7: raw stands beside it
    assert integrity("verify", "--store", store)["snapshots"] >= 3
    integrity("alerts", "restore", burst["id"], *WHO, "--reason", "they are honest after all", "--store", store)
    assert integrity("refresh", "--store", store)["votes_excluded"] == 0
    assert rows(store, "defended") == before
    again = run("alerts", "restore", burst["id"], *WHO, "--reason", "again", "--store", store)
    assert again.returncode == 2
    assert "none of its votes are excluded" in again.stderr
    history = integrity("alerts", "show", burst["id"], "--store", store)["history"]
    assert history[0]["action"] == "opened"


@pytest.mark.long
def test_a_snooze_an_appeal_and_a_resolution_are_dated_and_named(
    board: tuple[str, Path], burst: dict[str, Any]
) -> None:
    store = board[0]
    assert integrity("alerts", "snooze", burst["id"], *WHO, "--hours", "8", "--store", store)["state"] == "snoozed"
    assert (
        integrity("alerts", "appeal", burst["id"], *WHO, "--reason", "they wrote", "--store", store)["state"]
        == "appealed"
    )
    assert (
        integrity("alerts", "resolve", burst["id"], *WHO, "--reason", "done", "--store", store)["state"] == "resolved"
    )
    last = integrity("alerts", "show", burst["id"], "--store", store)["history"][-3:]
    assert [(h["action"], h["name"]) for h in last] == [("snooze", "ann"), ("appeal", "ann"), ("resolve", "ann")]
