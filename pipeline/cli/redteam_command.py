"""Runs the command redteam, which runs known attacks against the detectors and against published baseline methods."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from pipeline.cli.app import JsonOption, app, emit, err, out
from pipeline.cli.terminal import styled
from pipeline.errors import Usage
from pipeline.lab.redteam import audit_scenarios, sampling_scenarios
from pipeline.lab.redteam.attack_scenarios import SCENARIOS
from pipeline.lab.redteam.baseline_comparison import BaselineComparison, compare_with_baselines
from pipeline.lab.redteam.baselines import BASELINES
from pipeline.lab.redteam.scenario_result import ScenarioResult, evaluate_scenario


@app.command()
def redteam(
    scenario: Annotated[
        str, typer.Option(help="Only these, comma-separated: S1a, S18, …; S1 means S1a, S1b, …; S0: clean months.")
    ] = "",
    votes: Annotated[
        int, typer.Option(min=20_000, help="Honest votes in a month; S9 to S14 use six times as many.")
    ] = 60_000,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Run attacks from the literature; show what detectors find, how far the board moves, what baselines find.

    Takes about five minutes. Exit 1 if a required alert is missing, or if an alert is false.
    """
    wanted = _wanted(scenario)
    rows: list[ScenarioResult] = []
    for one in SCENARIOS:
        if one.name in wanted:
            err.print(f"{one.name}: {one.what} …")
            rows.append(evaluate_scenario(one, votes, seed))
    skewed: list[sampling_scenarios.SamplingResult] = []
    for name in sampling_scenarios.SAMPLING_SCENARIOS:
        if name in wanted:
            err.print(f"{name}: a board of a month …")
            skewed.append(sampling_scenarios.run_sampling_scenario(name, 6 * votes, seed))
    audit_cases = _run_audits(wanted, seed)
    peers: list[BaselineComparison] = []
    if not scenario:
        err.print("voters of 100 votes, compared with the baselines …")
        peers = compare_with_baselines(seed=seed)
    if as_json:
        emit(
            {
                "scenarios": [_document(row) for row in rows],
                "sampling": [_document(one) for one in skewed],
                "audits": [asdict(one) for one in audit_cases],
                "peers": [asdict(one) for one in peers],
            }
        )
    else:
        tables: tuple[tuple[Callable[..., Table], list[Any]], ...] = (
            *((table, rows) for table in (_found, _lost, _window_alerts, _baselines)),
            *((_sampled, skewed), (_audits, audit_cases), (_peers, peers)),
        )
        for table, shown in tables:
            if shown:
                out.print(table(shown))
    if not all([*(row.passed for row in rows), *(one.passed for one in skewed), *(one.passed for one in audit_cases)]):
        raise typer.Exit(1)


def _document(row: ScenarioResult | sampling_scenarios.SamplingResult) -> dict[str, Any]:
    return {"told" if name == "alerts" else name: value for name, value in asdict(row).items()}


def _run_audits(wanted: list[str], seed: int) -> list[audit_scenarios.AuditCaseResult]:
    results: list[audit_scenarios.AuditCaseResult] = []
    for name, case in audit_scenarios.AUDIT_CASES.items():
        if name in wanted:
            err.print(f"{name}: the slow audits …")
            results += case(seed)
    return results


def _wanted(scenario: str) -> list[str]:
    """Return the names of the chosen scenarios; all names if none is chosen."""
    names = [*(one.name for one in SCENARIOS), *sampling_scenarios.SAMPLING_SCENARIOS, *audit_scenarios.AUDIT_CASES]
    if not scenario:
        return names
    chosen: list[str] = []
    for name in scenario.split(","):
        matching = [one for one in names if _matches(name, one)]
        if not matching:
            raise Usage(f"--scenario: expected some of {', '.join(names)}, got {name!r}")
        chosen += matching
    return chosen


def _matches(name: str, scenario: str) -> bool:
    return scenario == name or (scenario.startswith(name) and scenario[len(name) :].isalpha())


def _found(rows: list[ScenarioResult]) -> Table:
    columns = {
        "": lambda r: r.scenario,
        "attack": lambda r: r.what,
        "votes": lambda r: f"{r.attack_votes:,}",
        "voters found": lambda r: _share(r.found),
        "excluded": lambda r: _share(r.excluded),
        "admitted": lambda r: f"{r.admitted:,}",
        "must": lambda r: r.must,
        "ok": lambda r: styled("yes" if r.passed else ("NO", "red")),
    }
    return _table("Attackers found (admitted: votes before the first alert)", columns, rows)


def _lost(rows: list[ScenarioResult]) -> Table:
    columns = {
        "": lambda r: r.scenario,
        "places lost: raw → policy → person": lambda r: " → ".join(map(str, r.places_lost)),
        "honest votes out: policy · person": lambda r: " · ".join(f"{n:,}" for n in r.honest_excluded),
        "honest voters with an alert: proved · unproved": lambda r: " · ".join(f"{x:.2%}" for x in r.false_voters),
    }
    return _table("What the board lost, and what the defence cost", columns, rows)


def _window_alerts(rows: list[ScenarioResult]) -> Table:
    columns = {
        "": lambda r: r.scenario,
        "about the attacked model or the board": lambda r: ", ".join(f"{k} ({v})" for k, v in sorted(r.alerts.items())),
        "about others, and how often": lambda r: ", ".join(f"{k} {n}" for k, n in sorted(r.elsewhere.items())),
    }
    return _table("Alerts of the window detectors", columns, rows)


def _baselines(rows: list[ScenarioResult]) -> Table:
    columns: dict[str, Any] = {"": lambda r: r.scenario}
    for name in ("ours", *BASELINES):
        columns[name] = lambda r, name=name: (
            f"{_share(r.baselines[name][0])} (false {r.baselines[name][1]:.1%})".removeprefix("– ")
        )
    return _table("Share of attackers found, compared with baselines (in brackets: of honest voters)", columns, rows)


def _sampled(rows: list[sampling_scenarios.SamplingResult]) -> Table:
    columns = {
        "": lambda r: r.scenario,
        "board": lambda r: r.what,
        "alert, after battles": lambda r: (
            ", ".join(f"{k} {at:,}" for k, (_, at) in sorted(r.alerts.items())) or "nothing"
        ),
        "other alerts": lambda r: ", ".join(f"{k} {n}" for k, n in r.other.items()),
        "false alerts before": lambda r: ", ".join(f"{k} {n}" for k, n in r.false.items()) or "none",
        "ok": lambda r: styled("yes" if r.passed else ("NO", "red")),
    }
    return _table("Boards whose sampling differs from the declared policy", columns, rows)


def _audits(rows: list[audit_scenarios.AuditCaseResult]) -> Table:
    columns = {
        "": lambda r: r.scenario,
        "case": lambda r: r.what,
        "found": lambda r: r.found,
        "must": lambda r: r.must,
        "ok": lambda r: styled("yes" if r.passed else ("NO", "red")),
    }
    return _table("Variants, fairness and claims", columns, rows)


def _peers(rows: list[BaselineComparison]) -> Table:
    columns: dict[str, Any] = {
        "voters of 100 votes": lambda r: r.voters,
        "ours": lambda r: _share(r.ours[0]),
        "ours, unproved too": lambda r: _share(r.ours[1]),
    }
    for name in BASELINES:
        columns[name] = lambda r, name=name: f"{_share(r.published[name])} · {_share(r.fixed[name])}"
    return _table("Share flagged: as published · at 1% of honest voters flagged", columns, rows)


def _table(title: str, columns: dict[str, Any], rows: list[Any]) -> Table:
    # Narrow padding, so that seven columns fit into a terminal of 80.
    table = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name)
    for row in rows:
        table.add_row(*(cell(row) for cell in columns.values()))
    return table


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
