"""Registry events as tests write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from pipeline.events.registry_events import (
    BenchmarkClaim,
    BenchmarkResult,
    Deprecated,
    Released,
    Renamed,
    Retracted,
    SamplingPolicy,
    Submitted,
)
from pipeline.vocabulary.time import to_microseconds

START = datetime(2025, 1, 1, tzinfo=UTC)
_number = count()


def day(number: float) -> int:
    """Microseconds of a day after the first."""
    return to_microseconds(START + timedelta(days=number))


def _common(number: float) -> dict[str, Any]:
    return {"schema": 1, "event_id": f"e{next(_number)}", "at": START + timedelta(days=number)}


def submitted(at: float, model: str, provider: str = "acme", **more: Any) -> Submitted:
    return Submitted(
        **_common(at), model=model, provider=provider, **{"visibility": "private", "license": "open", **more}
    )


def released(at: float, model: str, as_: str | None = None, n: int | None = None, **more: Any) -> Released:
    return Released(**_common(at), model=model, as_=as_, variants_tested=n, **more)


def renamed(at: float, model: str, to: str, notice: str | None = None) -> Renamed:
    return Renamed(**_common(at), model=model, to=to, notice_url=notice)


def deprecated(at: float, model: str, notice: str | None = None) -> Deprecated:
    return Deprecated(**_common(at), model=model, reason="old", notice_url=notice)


def retracted(at: float, model: str) -> Retracted:
    return Retracted(**_common(at), model=model, reason="withdrawn")


def policy(at: float, weights: dict[str, float]) -> SamplingPolicy:
    return SamplingPolicy(**_common(at), weights=weights)


def claim(at: float, model: str, benchmark: str, score: float, n: int | None = None) -> BenchmarkClaim:
    return BenchmarkClaim(**_common(at), model=model, benchmark=benchmark, score=score, n=n, source="release notes")


def result(at: float, model: str, benchmark: str, score: float, n: int, **more: Any) -> BenchmarkResult:
    return BenchmarkResult(
        **_common(at), model=model, benchmark=benchmark, score=score, n=n, evaluator="the lab", **more
    )
