"""Lists the registry events of the demo, about the providers of the real models and a fictitious laboratory.

Providers and licences are public facts of August 2024. The laboratory tests a dozen variants in private, and releases
one of them without disclosing how many it tested. The audits must detect this.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pipeline.vocabulary.time import format_rfc3339

OPEN, PROPRIETARY = "open", "proprietary"
# (prefix of the model's name, provider, licence); the first prefix that fits counts.
_PROVIDERS = (
    ("chatgpt", "OpenAI", PROPRIETARY),
    ("claude", "Anthropic", PROPRIETARY),
    ("command", "Cohere", OPEN),
    ("dbrx", "Databricks", OPEN),
    ("deepseek", "DeepSeek", OPEN),
    ("gemini", "Google", PROPRIETARY),
    ("gemma", "Google", OPEN),
    ("gpt-", "OpenAI", PROPRIETARY),
    ("llama", "Meta", OPEN),
    ("mistral-7b", "Mistral", OPEN),
    ("mistral", "Mistral", PROPRIETARY),
    ("mixtral", "Mistral", OPEN),
    ("nemotron", "Nvidia", OPEN),
    ("openchat", "OpenChat", OPEN),
    ("phi", "Microsoft", OPEN),
    ("qwen-max", "Alibaba", PROPRIETARY),
    ("qwen", "Alibaba", OPEN),
    ("reka", "Reka AI", PROPRIETARY),
    ("snowflake", "Snowflake", OPEN),
    ("starling", "Nexusflow", OPEN),
    ("vicuna", "LMSYS", OPEN),
    ("yi-large", "01 AI", PROPRIETARY),
    ("yi", "01 AI", OPEN),
)
LABORATORY, VARIANTS = "Example Lab (fiction)", 12


def demo_registry(models: Sequence[str], start: datetime) -> list[bytes]:
    """Return the registry events of the demo, each as a JSON line.

    Args:
        models: names of the models of the board.
        start: time of the first vote. All models are public before this time.
    """
    return [json.dumps(event).encode() for event in [*_board(models, start), *_laboratory(start)]]


def provider_and_licence(model: str) -> tuple[str, str]:
    """Return the provider and licence of a model of the real board.

    Raises:
        ValueError: the model is unknown.
    """
    for prefix, provider, licence in _PROVIDERS:
        if model.startswith(prefix):
            return provider, licence
    raise ValueError(f"expected a model of the real board, got {model!r}")


def _board(models: Sequence[str], start: datetime) -> Iterable[dict[str, Any]]:
    for model in models:
        provider, licence = provider_and_licence(model)
        yield _event(
            "model.submitted", model, start - timedelta(days=2), provider=provider, license=licence, visibility="public"
        )
        yield _event("model.released", model, start - timedelta(days=1))


def _laboratory(start: datetime) -> Iterable[dict[str, Any]]:
    names = [f"example-lab-variant-{number:02}" for number in range(1, VARIANTS + 1)]
    for number, name in enumerate(names):
        yield _event(
            "model.submitted", name, start + timedelta(hours=number),
            provider=LABORATORY, license=PROPRIETARY, visibility="private",
        )  # fmt: skip
    yield _event("model.released", names[6], start + timedelta(days=20))


def _event(kind: str, model: str, at: datetime, **more: str) -> dict[str, Any]:
    stamp = format_rfc3339(at, "seconds")
    return {"schema": 1, "event_id": f"{kind} {model}", "at": stamp, "type": kind, "model": model, **more}
