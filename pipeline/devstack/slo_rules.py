"""Writes the alert rules about error budgets to `deploy/prometheus/rules/slo.yml`.

`make slo-rules` runs this module, which reads the definitions from `deploy/prometheus/slo.toml`. For each service-level
objective (SLO), the rules record the error ratio over each window of time, and define one alert for each severity. The
alert fires if the error budget is used up too fast in both a long and a short window.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.devstack.monitoring import DEPLOY

DEFINITIONS = DEPLOY / "prometheus" / "slo.toml"
RULES = DEPLOY / "prometheus" / "rules" / "slo.yml"

_HEAD = """\
# Made by `make slo-rules` from ../slo.toml: change that file, not this one.
groups:
"""


def rules_text(definitions: Mapping[str, Any]) -> str:
    """Return the text of the rule file. `definitions` is the content of `slo.toml` after parsing."""
    burns: list[Mapping[str, Any]] = definitions["burn"]
    lines = [line for slo in definitions["slo"] for line in _group(slo, burns, definitions["days"])]
    return _HEAD + "\n".join(lines) + "\n"


def _group(slo: Mapping[str, Any], burns: Sequence[Mapping[str, Any]], days: int) -> Iterator[str]:
    name = slo["name"]
    yield f"  - name: integrity-slo-{name}"
    yield "    rules:"
    labels = f"{{ slo: {name} }}"
    yield from _record("slo:objective:ratio", f"vector({slo['objective']})", labels)
    if "bad" in slo:
        yield from _record("slo:bad:now", slo["bad"], labels)
    for window in dict.fromkeys(one[length] for length in ("short", "long") for one in burns):
        yield from _record(f"slo:errors:ratio_{window}", _ratio(slo, window), labels)
    for severity in dict.fromkeys(one["severity"] for one in burns):
        yield from _alert(slo, severity, [one for one in burns if one["severity"] == severity], days)


def _record(name: str, expression: str, labels: str) -> Iterator[str]:
    yield f"      - record: {name}"
    yield "        expr: |"
    yield from (f"          {line}" for line in expression.strip().splitlines())
    yield f"        labels: {labels}"


def _ratio(slo: Mapping[str, Any], window: str) -> str:
    if "bad" in slo:
        return f'avg_over_time(slo:bad:now{{slo="{slo["name"]}"}}[{window}])'
    errors, total = (f"sum by (board) (rate({slo[part]}[{window}]))" for part in ("errors", "total"))
    # Without an error there may be no series of errors; without a request there is no ratio.
    return f"({errors} or {total} * 0)\n  / ({total} > 0)"


def _alert(slo: Mapping[str, Any], severity: str, burns: Sequence[Mapping[str, Any]], days: int) -> Iterator[str]:
    conditions = [line for one in burns for line in ("or", *_condition(slo, one))][1:]
    yield f"      - alert: {slo['alert']}"
    yield "        expr: |"
    yield from (f"          {line}" for line in conditions)
    yield "        for: 1m"
    yield f"        labels: {{ severity: {severity}, stage: {slo['stage']} }}"
    yield "        annotations:"
    yield f'          summary: "broken too often: {slo["promise"]}"'
    fast = " or ".join(f"{one['rate']:g} times too fast for {one['long']}" for one in burns)
    yield (
        f'          description: "{_percent(slo["objective"])} of {days} days are promised on board '
        f"{{{{ $labels.board }}}}. The rest is used up {fast}, and it goes on: "
        '{{ $value | humanizePercentage }} broken."'
    )
    runbook = f"{slo['name']}-budget-burn"
    yield f'          runbook_url: "{{{{ $externalLabels.external_url }}}}/runbooks/{runbook}"'


def _condition(slo: Mapping[str, Any], burn: Mapping[str, Any]) -> Iterator[str]:
    limit = f"{burn['rate']:g} * {1 - slo['objective']:.6g}"
    long, short = (f'slo:errors:ratio_{burn[window]}{{slo="{slo["name"]}"}} > {limit}' for window in ("long", "short"))
    yield "("
    yield f"  {long}"
    yield f"  and {short}"
    if "least" in slo:
        yield f"  and on (board) sum by (board) (increase({slo['total']}[{burn['long']}])) >= {slo['least']}"
    yield ")"


def _percent(objective: float) -> str:
    return f"{100 * objective:g}%"


if __name__ == "__main__":
    with DEFINITIONS.open("rb") as file:
        RULES.write_text(rules_text(tomllib.load(file)), encoding="utf-8")
