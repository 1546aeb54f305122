"""Runs in a process of its own, because Helm's engine is a library in Go, which sets signal handlers.

python helm_engine.py TOOLS reads {"chart", "cases": {name: {"values", "upgrade", "kubernetes"}}, "kubernetes"} from
stdin and prints {"lint", "cases": {name: {"objects"} or {"error"}}}: what the linter says, and the objects of each
case. Core objects are validated strictly against the schemas of each version of Kubernetes; faults are in "invalid".
TOOLS is the folder of `make helm`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import yaml

sys.path.append(sys.argv[1])

import helm_python
import kubernetes_validate

WARNING = 2


def rendered(chart: Any, values: dict[str, Any], upgrade: bool) -> dict[str, Any]:
    try:
        chart.validate_schema(values)
        files = chart.render(values, name="demo", namespace="board", is_upgrade=upgrade, is_install=not upgrade)
    except helm_python.HelmError as error:
        return {"error": str(error)}
    texts = [text for name, text in files.items() if not name.endswith("NOTES.txt")]
    return {"objects": [one for text in texts for one in yaml.load_all(text, yaml.CSafeLoader) if one]}


def invalid(objects: list[dict[str, Any]], versions: list[str]) -> list[str]:
    """The faults of core objects; objects of others' definitions have no schema here."""
    faults = []
    for version in versions:
        for one in objects:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.SchemaNotFoundError:
                continue
            except kubernetes_validate.ValidationError as error:
                faults.append(f"{version}: {one['kind']} {one['metadata']['name']}: {error.message}")
    return faults


def main() -> None:
    asked = json.load(sys.stdin)
    answer: dict[str, Any] = {"cases": {}, "lint": {}}
    with helm_python.Chart.load(asked["chart"]) as chart:
        for name, case in asked["cases"].items():
            answer["cases"][name] = found = rendered(chart, case["values"], case.get("upgrade", False))
            if "objects" in found:
                found["invalid"] = invalid(found["objects"], case.get("kubernetes", asked["kubernetes"]))
                report = helm_python.lint(asked["chart"], case["values"], strict=True)
                severe = [one["error"] for one in report["messages"] if one["severity"] >= WARNING]
                answer["lint"][name] = report["errors"] + severe
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
