"""Says in a notebook whether the board of some votes can be trusted, and why, as `integrity report` does."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from leaderboard_integrity import html_text
from leaderboard_integrity.call_words import errors_in_call_words, with_notes
from leaderboard_integrity.ratings import require_reading
from leaderboard_integrity.result_table import BoardResult, board_html
from leaderboard_integrity.vote_sources import VoteData
from leaderboard_integrity.votes import Votes, read
from pipeline.errors import Usage
from pipeline.report.build_report import ReportOptions, build_report
from pipeline.report.render_page import is_report_page, render_page
from pipeline.report.report import Report
from pipeline.report.report_columns import report_votes
from pipeline.report.vote_period import apart_sentences
from pipeline.spilled_arrays import spilled_arrays

Part = Literal["board", "evidence", "probes"]

_FINDINGS = pa.schema(
    [
        ("section", pa.string()), ("accuses", pa.bool_()), ("kind", pa.string()), ("subject", pa.string()),
        ("direction", pa.string()), ("odds", pa.float64()), ("votes", pa.int64()), ("sentence", pa.string()),
    ]
)  # fmt: skip
_PROBES = pa.schema(
    [
        ("id", pa.string()), ("title", pa.string()), ("figure", pa.float64()), ("unit", pa.string()),
        ("lower", pa.float64()), ("upper", pa.float64()), ("threshold", pa.float64()), ("fired", pa.bool_()),
        ("sentence", pa.string()), ("unavailable", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class VoteReport(BoardResult):
    """The result of `report`: whether the board of some votes can be trusted, and why.

    Attributes:
        report: the report as Python objects: the verdict, the evidence, the probes, and what was not checked.
        rows: the rows of the board, one dictionary for each model, best model first.
        votes: number of votes that count.
        left_out: phrases that say how many records do not count, and why. Every record either counts as a vote or
            is counted in one of these phrases.
        notes: sentences that say how the records were read, and which were left out and why.
    """

    report: Report
    rows: tuple[Mapping[str, Any], ...]
    votes: int
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Return a text with the answer to "can this board be trusted?"."""
        return f"VoteReport({self.title})"

    @property
    def answer(self) -> str:
        """The answer to "can this board be trusted?"."""
        return self.report.verdict.answer

    @property
    def sentences(self) -> tuple[str, ...]:
        """The five sentences of the verdict."""
        return self.report.verdict.sentences

    @property
    def found(self) -> bool:
        """Whether a test found votes that were cast to change the board."""
        return self.report.found

    @property
    def document(self) -> dict[str, Any]:
        """The report as JSON types, as `integrity report --json` prints it."""
        return self.report.document()

    @property
    def title(self) -> str:
        """A line with the numbers of votes and models, and the answer to "can this board be trusted?"."""
        return (
            f"{self.votes:,} votes on {len(self.rows):,} models. Can this board be trusted? {self.answer.capitalize()}."
        )

    def to_arrow(self, part: Part = "board") -> pa.Table:
        """Return a part of the report as an Arrow table.

        Args:
            part: "board" for the rows of the board; "evidence" for the findings, in each test the strongest first;
                "probes" for the probes, which measure on what the order of the board depends.
        """
        if part == "board":
            return pa.Table.from_pylist([dict(row) for row in self.rows])
        if part == "evidence":
            return pa.Table.from_pylist(self._findings(), schema=_FINDINGS)
        if part == "probes":
            return pa.Table.from_pylist(self._probes(), schema=_PROBES)
        raise Usage(f"part: expected board, evidence or probes, got {part!r}")

    def to_pandas(self, part: Part = "board") -> Any:
        """Return a part of the report as a pandas data frame. `part` is as for `to_arrow`."""
        return self.to_arrow(part).to_pandas()

    def to_html(self) -> str:
        """Return the whole report as one HTML page that loads no other file."""
        return render_page(self.report)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the whole report to a file as one HTML page, and return the path of the file.

        An earlier report in this file is replaced, so that a cell of a notebook can be run again.

        Args:
            path: path of the file.
            overwrite: whether to replace a file that is not a report.

        Raises:
            Usage: the file exists and is not a report, and `overwrite` is false.
        """
        target = Path(path)
        if target.exists() and not overwrite and not is_report_page(target):
            raise Usage(f"expected a new file or a report, {target} is another file: overwrite=True replaces it")
        target.write_text(self.to_html(), encoding="utf-8")
        return target

    def _findings(self) -> list[dict[str, Any]]:
        columns = [name for name in _FINDINGS.names if name not in ("section", "accuses")]
        return [
            {"section": section.id, "accuses": section.accuses, **{name: getattr(one, name) for name in columns}}
            for section in self.report.evidence
            for one in section.findings
        ]

    def _probes(self) -> list[dict[str, Any]]:
        columns = [name for name in _PROBES.names if name not in ("lower", "upper")]
        return [
            {
                **{name: getattr(one, name) for name in columns},
                **dict(zip(("lower", "upper"), one.interval or (None, None), strict=True)),
            }
            for one in self.report.probes
        ]

    def _repr_html_(self) -> str:
        evidence = [f"{one.title}: {one.answer}" for one in self.report.evidence if one.found]
        fired = [one.sentence for one in self.report.probes if one.fired]
        unchecked = [f"{'; '.join(whats)}: {why}" for why, whats in self.report.unchecked_by_reason]
        return (
            html_text.heading(self.title)
            + html_text.bullets([*self.sentences, *apart_sentences(self.report.facts["dated_apart"])])
            + board_html(self.rows)
            + html_text.bullets(evidence, 'What the tests for manipulation found (to_pandas("evidence") has all):')
            + html_text.bullets(fired, 'What the order depends on (to_pandas("probes") has all):')
            + html_text.bullets(unchecked, "What was not checked:")
            + html_text.bullets([*self.left_out, *self.notes], "How the votes were read, and what was left out:")
        )


def report(data: VoteData | Votes, *, level: float = 0.95, seed: int | None = None, **reading: Any) -> VoteReport:
    """Say whether a board of some votes can be trusted, and why, as `integrity report` does. No store is needed.

    Args:
        data: the votes: a path, several paths or a table, as for `read`, or the result of `read`.
        level: coverage of the intervals, between 0 and 1.
        seed: seed of all random draws, among them the labels of voters. None for a new random seed.
        **reading: the other arguments of `read`; none for a result of `read`.

    Returns:
        The report. No id of a voter is in it.

    Raises:
        RatingError: the votes have no rating.
        BadInput: the votes cannot be read; see `read`.
        Usage: an argument is not valid.
    """
    if not 0 < level < 1:
        raise Usage(f"level: expected a number between 0 and 1, got {level}")
    if seed is not None and seed < 0:
        raise Usage(f"seed: expected at least 0, got {seed}")
    require_reading(data, reading)
    votes = data if isinstance(data, Votes) else read(data, **reading)
    seed = secrets.randbits(48) if seed is None else seed
    chosen = f" --level {level}" if level != ReportOptions().level else ""
    command = votes.source.command and f"{votes.source.command}{chosen} --seed {seed}"
    with errors_in_call_words(), with_notes([*votes.left_out, *votes.notes]), spilled_arrays():
        if votes.input.refused is not None:
            raise votes.input.refused
        made = build_report(
            report_votes(votes.battles), replace(votes.source, seed=seed, command=command), ReportOptions(level=level)
        )
    return VoteReport(report=made, rows=tuple(made.rows), votes=len(votes), left_out=votes.left_out, notes=votes.notes)
