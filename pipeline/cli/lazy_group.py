"""Which module brings which verb, so that a verb imports what it needs and no more.

`integrity work` is started on every machine again and again; what audits and benchmarks import would double the
time that it takes. Importing a module registers its verbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from pipeline.cli.app import app

HOMES = {
    "publish": ("stream",),
    "work": ("stream",),
    "monitor": ("stream",),
    "refresh": ("board",),
    "leaderboard": ("board",),
    "verify": ("ledger",),
    "bundle": ("ledger",),
    "receipt": ("ledger",),
    "audit": ("custody",),
    "retract": ("custody",),
    "erase": ("custody",),
    "rotate-key": ("custody",),
    "witness": ("custody",),
    "alerts": ("alerts",),
    "replay": ("alerts",),
    "rate": ("rate",),
    "history": ("history",),
    "sweep": ("sweep",),
    "provider": ("provider",),
    "redteam": ("redteam",),
    "migrate": ("operate",),
    "exporter": ("operate",),
    "pseudonym": ("operate",),
    "rejects": ("operate",),
    "doctor": ("operate",),
    "serve": ("serve",),
    "diff": ("diff",),
    "tokens": ("tokens",),
    "bench": (
        "bench",
        "bench_ratings",
        "bench_evidence",
        "bench_selection",
        "bench_sweep",
        "bench_api",
        "bench_ledger",
    ),
    "demo": ("demo",),
}


def load(words: Sequence[str] = ()) -> None:
    """Register the verb that a command line begins with; all verbs, for help, if it begins with none."""
    verb = next(iter(words), "")
    every = dict.fromkeys(module for modules in HOMES.values() for module in modules)
    for module in HOMES.get(verb, every):
        import_module(f"pipeline.cli.{module}")


@app.callback()
def _group() -> None:
    """Verbs stay verbs, though only one of them is loaded."""


__all__ = ["HOMES", "app", "load"]
