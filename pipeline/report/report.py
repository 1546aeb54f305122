"""Represents a report: the verdict, the board, the evidence, the probes, what was not checked, and its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.report.evidence import EvidenceSection
from pipeline.report.probe_result import ProbeResult
from pipeline.report.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of votes: its name without folders, the SHA-256 of its bytes, and the number of its bytes."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSource:
    """The files that the votes of a report come from, and how the report is made again.

    Attributes:
        files: the files, in the order in which they were read; empty if the votes come from memory.
        reading: how the files were read, as plain values: which votes were left out, by which rule and why. The keys
            are the same as in the output of `integrity rate --json`.
        command: the command that makes the same report; "" if the votes come from memory.
        version: version of the program.
        seed: seed of all random draws.
    """

    files: Sequence[SourceFile] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    version: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchecked:
    """A question that the votes do not answer, and why not."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report of a file of votes.

    Attributes:
        verdict: the answer to "can this board be trusted?", and five sentences.
        facts: figures of the whole file: votes, models, voters, days, and how votes spread.
        rows: the board, best first: one dictionary for each model.
        separated: number of all pairs of neighbours on the board, and number of pairs that differ by more than chance
            (`count_separated`).
        evidence: one section for each test for manipulation.
        probes: one result for each probe. A probe checks one thing on which the order of the board depends.
        unchecked: the questions that the votes do not answer.
        source: where the votes come from.
        level: coverage of the intervals.
    """

    verdict: Verdict
    facts: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    separated: Mapping[str, int]
    evidence: Sequence[EvidenceSection]
    probes: Sequence[ProbeResult]
    unchecked: Sequence[Unchecked]
    source: ReportSource
    level: float

    @property
    def found(self) -> bool:
        """Whether a test found votes that were cast to change the board."""
        return any(section.accuses and section.found for section in self.evidence)

    @property
    def unchecked_by_reason(self) -> list[tuple[str, list[str]]]:
        """The reasons why questions were not answered, each with its questions."""
        found: dict[str, list[str]] = {}
        for one in self.unchecked:
            found.setdefault(one.why, []).append(one.what)
        return list(found.items())

    def document(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        return {
            "answer": self.verdict.answer,
            "verdict": list(self.verdict.sentences),
            "found": self.found,
            **self.facts,
            "level": self.level,
            "rows": [dict(row) for row in self.rows],
            "separated": dict(self.separated),
            "evidence": [section.document() for section in self.evidence],
            "probes": [probe.document() for probe in self.probes],
            "unchecked": [asdict(one) for one in self.unchecked],
            **self.source.reading,
            "recompute": {
                "command": self.source.command,
                "files": [asdict(one) for one in self.source.files],
                "version": self.source.version,
                "seed": self.source.seed,
            },
        }
