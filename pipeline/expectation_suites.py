"""Evaluates expectations on whole batches: the quality gate of a refresh. Only this module imports Great Expectations.

1. A suite is a file `expectations/NAME.json` with one expectation per line, each with a severity and a reason.
2. A failed `critical` expectation stops the refresh; refresh and doctor show failed `warning`s; `info` is only stored.
3. An expectation that cannot be evaluated (missing column) has failed: no rule is dropped silently.
4. Results are plain data without types of the library, so that the store can keep them as JSON.

Not handled: checks of single events, for which Great Expectations is too slow (at least 0.1 s; `pipeline.events` makes
them), and the consequences of a failure (`pipeline.jobs.refresh.quality_gate`).
"""

import json
import logging
import math
import os
import warnings
from collections.abc import Container, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import Usage

# Example values of a failed expectation: enough to find the fault, few enough to store at every refresh.
EXAMPLES = 5

# The wheel has the suites inside the package (pyproject, force-include), the repository beside it.
_FOLDERS = (Path(__file__).parent / "_expectations", Path(__file__).parents[1] / "expectations")

Row = dict[str, Any]


@dataclass(frozen=True)
class SuiteVerdict:
    """The result of evaluating a suite.

    Attributes:
        suite: name of the suite.
        success: whether every critical expectation passed.
        critical_failures: "column: expectation" of each failed critical expectation, in the order of the suite.
        warnings: "column: expectation" of each failed expectation of severity `warning`, in the same order.
        results: one row of JSON values for each evaluated expectation: expectation, column, severity, reason, success,
            observed, unexpected_count, examples. After `check_parts`, each row also has the key `part`.
    """

    suite: str
    success: bool
    critical_failures: tuple[str, ...]
    warnings: tuple[str, ...]
    results: list[Row]

    def as_json(self) -> str:
        """Return the verdict as a JSON document with sorted keys: equal verdicts give equal text."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, allow_nan=False)


def suites() -> tuple[str, ...]:
    """Return the names of all expectation suites, one for each file in `expectations/`."""
    return tuple(sorted(path.stem for path in _folder().glob("*.json")))


def check(suite: str, frame: pd.DataFrame, *, critical_only: bool = False) -> SuiteVerdict:
    """Evaluate a suite on a frame.

    Args:
        suite: `votes`, `registry` or `snapshot`.
        frame: must have the columns that the suite names; the frame is not changed. An expectation on a missing column
            fails.
        critical_only: whether only the expectations of severity `critical` are evaluated.

    Returns:
        The verdict, with a row for each evaluated expectation.

    Raises:
        Usage: no suite has this name.
    """
    if suite not in suites():
        raise Usage(f"expected a suite out of {', '.join(suites())}, got {suite!r}")
    expectations = json.loads((_folder() / f"{suite}.json").read_text(encoding="utf-8"))["expectations"]
    if critical_only:
        expectations = [one for one in expectations if one["severity"] == "critical"]
    outcomes = _validate(suite, expectations, _with_derived(frame))
    return _verdict(suite, [_row(outcome) for outcome in outcomes])


def check_parts(suite: str, frames: Mapping[str, pd.DataFrame], critical_only: Container[str] = ()) -> SuiteVerdict:
    """Evaluate a suite on several frames, such as the views of a snapshot.

    Args:
        suite: `votes`, `registry` or `snapshot`.
        frames: name → frame. A single frame may have the name "".
        critical_only: names of frames on which only critical expectations are evaluated.

    Returns:
        One verdict over all frames. The name of a frame precedes each failure of this frame, and is in each row of
            `results` about this frame under the key `part`.

    Raises:
        Usage: no suite has this name.
    """
    parts = {part: check(suite, frame, critical_only=part in critical_only) for part, frame in frames.items()}
    failures, warned = (
        tuple(f"{part} {text}".lstrip() for part, verdict in parts.items() for text in getattr(verdict, severity))
        for severity in ("critical_failures", "warnings")
    )
    rows = [{"part": part, **row} for part, verdict in parts.items() for row in verdict.results]
    return SuiteVerdict(suite, not failures, failures, warned, rows)


def _folder() -> Path:
    return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[-1])


def _with_derived(frame: pd.DataFrame) -> pd.DataFrame:
    """Return votes with the added columns `lead_seconds` and `against_itself`, each computed from two other columns.

    The columns are compared here because Great Expectations compares columns slowly. A frame that lacks any of the
    compared columns, such as a registry, is returned unchanged.
    """
    if not {"cast_at", "appended_at", "model_a", "model_b"} <= set(frame.columns):
        return frame  # not votes, or incomplete votes: then expectations on the added columns fail by rule 3
    return frame.assign(
        lead_seconds=(frame["cast_at"] - frame["appended_at"]).dt.total_seconds(),
        against_itself=(frame["model_a"] == frame["model_b"]).astype(bool),
    )


def _validate(suite: str, expectations: list[Row], frame: pd.DataFrame) -> list[Row]:
    """Run Great Expectations without its output; return its results in the order of the suite."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read at import by releases that send usage data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an operator cannot act on deprecations inside the library
        import great_expectations as gx  # noqa: PLC0415 - takes 5 to 7 s, which only a check needs
        from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

        logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        numbered = [row | {"meta": row["meta"] | {"line": n}} for n, row in enumerate(expectations)]
        batch = context.data_sources.add_pandas(suite).add_dataframe_asset(suite)
        result = (
            batch.add_batch_definition_whole_dataframe(suite)
            .get_batch(batch_parameters={"dataframe": frame})
            .validate(
                gx.ExpectationSuite(name=suite, expectations=numbered),
                result_format={"result_format": "BASIC", "partial_unexpected_count": EXAMPLES},
            )
        )
        outcomes: list[Row] = [each.to_json_dict() for each in result.results]
        context.data_sources.delete(suite)  # the library keeps the context, which would keep the frame
    return sorted(outcomes, key=lambda outcome: int(outcome["expectation_config"]["meta"]["line"]))


def _row(outcome: Row) -> Row:
    config, result = outcome["expectation_config"], outcome["result"]
    return {
        "expectation": config["type"],
        "column": _column(config["kwargs"]),
        "severity": config["severity"],
        "reason": config["meta"]["notes"],
        "success": bool(outcome["success"]),
        "observed": _observed(outcome),
        "unexpected_count": int(result.get("unexpected_count") or 0),
        "examples": _plain(result.get("partial_unexpected_list") or []),
    }


def _column(kwargs: Mapping[str, Any]) -> str:
    """Return what an expectation is about: a column, two columns joined by a comma, or `table`."""
    if "column_A" in kwargs:
        return f"{kwargs['column_A']}, {kwargs['column_B']}"
    return str(kwargs.get("column", "table"))


def _observed(outcome: Row) -> Any:
    """Return what the evaluation of an expectation found.

    Returns:
        The observed value if there is one, otherwise the share of unexpected values, from 0 to 1. If the expectation
        could not be evaluated, the first line of the error message, or None if there is no message.
    """
    result = outcome["result"]
    if "observed_value" in result:
        return _plain(result["observed_value"])
    if "unexpected_percent" in result:
        return _plain((result["unexpected_percent"] or 0.0) / 100)
    faults = [info for info in outcome["exception_info"].values() if isinstance(info, dict)]
    return next((str(info["exception_message"]).splitlines()[0] for info in faults), None)


def _plain(value: Any) -> Any:
    """Return a value as JSON types; a non-finite number becomes text."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _verdict(suite: str, rows: list[Row]) -> SuiteVerdict:
    critical = _failed(rows, "critical")
    return SuiteVerdict(suite, not critical, critical, _failed(rows, "warning"), rows)


def _failed(rows: Iterable[Row], severity: str) -> tuple[str, ...]:
    failed = (row for row in rows if not row["success"] and row["severity"] == severity)
    return tuple(f"{row['column']}: {row['expectation']}" for row in failed)
