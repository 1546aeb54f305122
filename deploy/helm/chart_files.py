"""Writes what the chart takes from elsewhere in the project: `make chart-files`.

A chart may read only files of its own folder. So the alert rules are copied into `files/rules`, and the names, types
and ranges of the settings are written into `values.schema.json`, where Helm checks the value `settings` against them. A
test compares both with their sources.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pipeline.settings import Settings, shown

CHART = Path(__file__).parent / "leaderboard-integrity"
RULES = Path(__file__).parents[1] / "prometheus" / "rules"
SCHEMA = CHART / "values.schema.json"

# What the chart has values of its own for, and what none of its processes does: sign, publish, use HTTPS by itself.
OWN = {
    "store", "secrets_dir", "ledger", "archive", "group", "partitions", "external_url", "trusted_proxies", "tls_cert",
    "tls_key", "publish_state", "log_ids",
}  # fmt: skip
OWN_PREFIXES = ("kafka_", "postgres_", "topic_")


def chart_files() -> dict[Path, str]:
    """Return path → text of each file that is made here."""
    made = {CHART / "files" / "rules" / path.name: path.read_text(encoding="utf-8") for path in RULES.glob("*.yml")}
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema["properties"]["settings"]["properties"] = settings_schema()
    made[SCHEMA] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return made


def settings_schema() -> dict[str, Any]:
    """Return name → JSON Schema of each setting that a user may give under `settings` in the chart's values."""
    fields = Settings.model_json_schema()["properties"]
    return {
        name: {key: value for key, value in fields[name].items() if key not in {"title", "default"}}
        for name in sorted(fields)
        if name not in OWN and not name.startswith(OWN_PREFIXES) and not is_hidden(name)
    }


def is_hidden(name: str) -> bool:
    """Return whether a setting is a key, a password or text with keys. A values file must not contain it."""
    return bool(shown(name, "value") != "value")


if __name__ == "__main__":
    for path, text in chart_files().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
