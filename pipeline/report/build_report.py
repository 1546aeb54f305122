"""Builds the report of a table of votes. This is the entry point of the package, for the command line and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import BadCounts
from pipeline.ratings.voter_covariance import is_by_voter
from pipeline.report.board_rows import board_rows, count_separated
from pipeline.report.evidence import EvidenceSection, find_evidence
from pipeline.report.evidence.find_evidence import why_no_voters
from pipeline.report.evidence.random_labels import RandomLabels
from pipeline.report.evidence.sampling_facts import spread_of_votes
from pipeline.report.few_voters import few_voters_sentence
from pipeline.report.probe_result import ProbeOptions, ProbeResult
from pipeline.report.probes import run_probes
from pipeline.report.report import Report, ReportSource, Unchecked
from pipeline.report.report_board import ReportBoard, rate_report_votes
from pipeline.report.report_votes import ReportVotes
from pipeline.report.verdict import judge
from pipeline.report.vote_period import vote_period
from pipeline.vocabulary.large_arrays import count_distinct

MOST_MODELS = 3_000
"""The largest number of models of a report."""

_ALWAYS = (
    Unchecked(
        what="Whether votes were added, changed or removed before the file was made",
        why="a file has no log that commits to its votes; the command integrity verify checks boards that have one",
    ),
    Unchecked(
        what="Which models were tested in private, and which of their results were not published",
        why="a file of votes names only models that were shown",
    ),
)
_ACCOUNTS = Unchecked(
    what="Whether one person votes under several ids",
    why="an id is all that a file says about a voter; the tests of groups and cohorts find what such ids do together",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """Options of a report.

    Attributes:
        level: coverage of the intervals, between 0 and 1.
        progress: called with the name of each step that ends.
    """

    level: float = 0.95
    progress: Callable[[str], None] = lambda _: None


def build_report(votes: ReportVotes, source: ReportSource, options: ReportOptions | None = None) -> Report:
    """Build the report of some votes.

    Args:
        votes: the votes that count.
        source: where the votes come from. Its seed and its hashes of the files decide all random draws.
        options: options of the report; None for the defaults.

    Raises:
        RatingError: the votes have no rating, or are on more than MOST_MODELS models.
    """
    options = options or ReportOptions()
    _require_few_models(votes, source)
    board = rate_report_votes(votes, level=options.level)
    options.progress("board")
    hashes = ",".join(one.sha256 for one in source.files)
    evidence = find_evidence(
        board.votes,
        RandomLabels(source.seed, hashes),
        f"{source.seed} {hashes}".encode(),
        lambda: options.progress("evidence"),
    )
    probes = run_probes(votes, board, ProbeOptions(level=options.level, seed=source.seed % 2**32))
    options.progress("probes")
    rows = board_rows(board)
    separated = count_separated(rows)
    return Report(
        verdict=judge(rows, separated, evidence, probes, options.level, _lacking(board.votes)),
        facts=_facts(board),
        rows=rows,
        separated=separated,
        evidence=evidence,
        probes=tuple(probes),
        unchecked=_unchecked(evidence, probes, board.votes),
        source=source,
        level=options.level,
    )


def _require_few_models(votes: ReportVotes, source: ReportSource) -> None:
    """Raise BadCounts for more than MOST_MODELS models: the time of a report grows with the cube of this number."""
    if len(votes.models) > MOST_MODELS:
        names = ", ".join(one.name for one in source.files) or "the votes"
        raise BadCounts(
            f"{names}: expected at most {MOST_MODELS:,} models, got {len(votes.models):,}: a report compares "
            "each model with each other. Leave out models with few votes, or rate the file with integrity rate"
        )


def _facts(board: ReportBoard) -> dict[str, Any]:
    votes, few = board.votes, board.votes.effective_voters()
    plain, shown = board.fitted.covariance, board.clustered.covariance
    voter = votes.known("voter")
    return {
        "votes": len(votes),
        "models": len(votes.models),
        "voters": None if voter is None else count_distinct(voter[voter >= 0]),
        "effective_voters": few,
        "clustered_by_voter": few is not None and is_by_voter(plain, shown, few),
        **vote_period(votes.time),
        "ties": float((votes.outcome >= 2).mean()),
        "spread": spread_of_votes(votes),
    }


def _lacking(votes: ReportVotes) -> list[str]:
    """Return the names of the columns that the votes lack for some tests or probes, and "enough voters" if too few."""
    named = {
        "voters": votes.known("voter"), "times": votes.time, "prompts": votes.prompt, "sessions": votes.session,
        "networks": votes.network, "turns": votes.turn, "positions on a screen": votes.position,
    }  # fmt: skip
    few = ["enough voters"] if named["voters"] is not None and why_no_voters(votes) is not None else []
    return [*few, *(name for name, column in named.items() if column is None)]


def _unchecked(
    evidence: Sequence[EvidenceSection], probes: Sequence[ProbeResult], votes: ReportVotes
) -> tuple[Unchecked, ...]:
    open_questions = [*((s.title, s.unavailable) for s in evidence), *((p.title, p.unavailable) for p in probes)]
    lacking = [Unchecked(what=what, why=why) for what, why in open_questions if why]
    voters = votes.effective_voters()
    agree = "Whether other voters would agree with those of the file"
    few = [Unchecked(what=agree, why=few_voters_sentence(voters))] if voters and votes.has_few_voters() else []
    return (*lacking, *few, *((_ACCOUNTS,) if why_no_voters(votes) is None else ()), *_ALWAYS)
