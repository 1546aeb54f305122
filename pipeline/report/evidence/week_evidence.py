"""Tests whether a model has other results, or another style, in one period of four weeks than in its other weeks.

The result is how often the model won. The style is that of its answers, such as their length.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.backlog.answer_styles import StyleFinding
from pipeline.backlog.model_periods import PeriodFinding
from pipeline.report.evidence.evidence_section import EvidenceFinding, EvidenceSection, odds_of
from pipeline.report.evidence.evidence_tests import STYLES, WEEKS
from pipeline.report.report_votes import ReportVotes
from pipeline.vocabulary.time import format_rfc3339


def week_section(given: ReportVotes, found: Sequence[PeriodFinding]) -> EvidenceSection:
    """Return the section on models that won more or less often in a period of four weeks than in their other weeks.

    Args:
        given: the votes of the report.
        found: the findings about periods of four weeks (`ModelPeriods.find`).
    """
    if given.time is None:
        return WEEKS.unanswered("the file has no times")
    findings = [_week(given, one) for one in found]
    return WEEKS.answered(findings, "No model wins more or less often in four weeks than in its other weeks.")


def style_section(given: ReportVotes, found: Sequence[StyleFinding]) -> EvidenceSection:
    """Return the section on models whose answers have another style in a period of four weeks than in other weeks.

    Args:
        given: the votes of the report.
        found: the findings about answers in periods of four weeks (`backlog.answer_styles`).
    """
    if given.time is None or given.style is None:
        return STYLES.unanswered(f"the file has no {'times' if given.time is None else 'counts of style'}")
    findings = [_style(given, one) for one in found]
    return STYLES.answered(findings, "No model answers in another style in four weeks than in its other weeks.")


def _week(given: ReportVotes, one: PeriodFinding) -> EvidenceFinding:
    model, more = given.models[one.model], "more" if one.direction == "promotes" else "less"
    does = f"wins {more} often"
    return _finding(model, does, f"{does} than in other weeks", "an attack, or the model was changed", one)


def _style(given: ReportVotes, one: StyleFinding) -> EvidenceFinding:
    cause = "the model, its settings or the prompts on it were changed"
    return _finding(given.models[one.model], f"gives {one.style}", f"{one.style} than in other weeks", cause, one)


def _finding(model: str, does: str, direction: str, cause: str, one: PeriodFinding | StyleFinding) -> EvidenceFinding:
    first, end = (format_rfc3339(time)[:10] for time in (one.first, one.end))
    among = f"among {one.voters:,} voters"
    return EvidenceFinding(
        kind="model", subject=model, direction=direction, odds=odds_of(one.log_e) / one.tests, votes=0,
        sentence=f"{model} {does} from {first} to {end} than in its other weeks, {among}: {cause}.",
        details={"from": first, "to": end, "voters": one.voters, "tests": one.tests},
    )  # fmt: skip
