"""Builds the lines that backfill and refresh print about an evaluation of votes from before the first snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipeline.alert_text import format_e_value
from pipeline.cli.app import err
from pipeline.cli.progress_columns import DescriptionColumn
from pipeline.store.alerting.alert_queries import POOLED_VOTERS

if TYPE_CHECKING:
    from pipeline.jobs.backlog.backfill import Progress as EvaluationProgress

# Findings that are listed; --json prints all.
_SHOWN = 12


@contextmanager
def evaluation_progress(quiet: bool = False) -> Iterator[EvaluationProgress]:
    """Show on standard error how far an evaluation of votes is, for the duration of a `with` block.

    Nothing is shown if `quiet`, or if standard error is not a terminal.

    Yields:
        A function to call with ("read", number of votes) or ("evaluated", number of passes over the votes).
    """
    bar = Progress(
        SpinnerColumn(), DescriptionColumn(), BarColumn(), TextColumn("{task.completed:,}", markup=False),
        TimeElapsedColumn(), console=err, disable=quiet or not err.is_terminal, transient=True,
    )  # fmt: skip
    with bar:
        tasks: dict[str, Any] = {}

        def advance(what: str, done: int) -> None:
            if what not in tasks:
                text = "votes read" if what == "read" else "passes over the votes"
                tasks[what] = bar.add_task(text, total=None)
            bar.advance(tasks[what], done)

        yield advance


def report_lines(report: Mapping[str, Any], *, refreshed: bool = False) -> list[tuple[str, str]]:
    """Return the lines to print about an evaluation of votes, as (text, style). The style is "" for none.

    Args:
        report: the result of `jobs.backfill` or `jobs.reevaluate`.
        refreshed: whether a refresh followed, so that policies have excluded voters already.
    """
    if not report["votes"]:
        lines = [("nothing to evaluate: a snapshot or a backfill preceded every vote", "")]
        return lines + [(line, "") for line in _without_voter(report)]
    lines = [(summary_line(report), "")]
    shown = [one for one in report["findings"] if not _is_member(one)]
    for one in shown[:_SHOWN]:
        style = "red" if one["severity"] == "critical" else "yellow"
        about = f"{one['subject']['kind']} {one['subject']['id']}"
        value = f"e-value {format_e_value(one['e_value'])}"
        lines.append((f"{one['severity']:8} {one['detector']} {about}: {one['direction']} ({value})", style))
        if one["subject"]["kind"] != "voter":
            lines.append((f"         {one['what']}", ""))
    if len(shown) > _SHOWN:
        lines.append((f"… {len(shown) - _SHOWN:,} more; --json prints all", ""))
    lines += [(line, "") for line in _next_steps(report, refreshed)]
    return lines


def summary_line(report: Mapping[str, Any]) -> str:
    """Return a sentence that says what an evaluation of votes has evaluated, how, and how much it found.

    Args:
        report: the result of `jobs.backfill` or `jobs.reevaluate`.
    """
    nested = f", nested form {report['nested_rounds']} rounds" if report["nested_rounds"] else ""
    weeks = "of the last weeks" if report["kind"] == "reevaluate" else "that no snapshot preceded"
    found, members = report["found"], sum(map(_is_member, report["findings"]))
    named = f", {members:,} of them about members of a group" if members else ""
    return (
        f"evaluated {report['votes']:,} votes of {report['voters']:,} voters {weeks}, by cross-fitting, "
        f"{report['rounds']} rounds{nested}: {found:,} finding{'' if found == 1 else 's'}{named}; "
        f"{report['critical']:,} critical"
    )


def _is_member(finding: Mapping[str, Any]) -> bool:
    """Return whether a finding is about one member of a group. Such findings get no line of their own.

    The finding about the model that the group promotes or demotes states the number of members.
    """
    return bool(finding["detector"] == POOLED_VOTERS and finding["subject"]["kind"] == "voter")


def _next_steps(report: Mapping[str, Any], refreshed: bool) -> list[str]:
    lines = []
    if not report["complete"] and report["voters"]:
        lines.append(
            f"{report['voters_not_comparable']:,} voters could not be compared: the other voters' votes are too few, "
            "or do not connect the models; all these votes stay never checked"
        )
    elif not report["complete"]:
        lines.append("no vote names a voter: votes without voters cannot be compared, and stay never checked")
    else:
        lines += _without_voter(report)
    if report["critical"]:
        done = "has excluded" if refreshed else "excludes, with the next refresh,"
        lines.append(
            f"the policy backfill-voter/1 {done} {report['critical']:,} voters with a critical alert, unless "
            "INTEGRITY_AUTO_VOTER is off"
        )
    if report["found"] > report["critical"]:
        lines.append(
            "a person decides about the others: `integrity alerts` lists them, `integrity alerts exclude ID --reason "
            "REASON` excludes the voter of an alert, or all members of its group"
        )
    if not report["written"]:
        lines.append("nothing was written")
    return lines


def _without_voter(report: Mapping[str, Any]) -> list[str]:
    """Return one sentence about the votes that name no voter and are therefore never checked.

    Empty if there are none.
    """
    if not (votes := report["votes_without_voter"]) or report["kind"] != "backfill":
        return []
    names = "1 vote names" if votes == 1 else f"{votes:,} votes name"
    return [f"{names} no voter: votes without voters cannot be compared, and stay never checked"]
