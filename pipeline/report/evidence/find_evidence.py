"""Runs the tests of a report for which a file has the columns, and says why the other tests cannot be run."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.errors import RatingError
from pipeline.report.evidence import evidence_tests as tests
from pipeline.report.evidence.backlog_evidence import OF_BACKLOG, BacklogEvidence
from pipeline.report.evidence.evidence_section import EvidenceSection, EvidenceTest
from pipeline.report.evidence.random_labels import RandomLabels
from pipeline.report.evidence.sampling_facts import sides
from pipeline.report.evidence.share_bursts import share_bursts
from pipeline.report.evidence.voter_timing import fast_voters, lockstep_voters
from pipeline.report.report_votes import NO_TIME, ReportVotes
from pipeline.vocabulary.large_arrays import count_distinct
from pipeline.vocabulary.time import SECOND

LEAST_VOTERS = 5
"""The voters of a file are compared with each other only if there are at least this many."""

MOST_MODELS = 1_000
"""Voters are compared with each other only if the votes are on at most this many models.

A comparison needs dozens of fits, and the time of a fit grows with the cube of the number of models."""

MOST_SHARED = 5
"""Times count as exact if the seconds that have votes have at most this many votes on average.

Otherwise, the times are times of batches or days, not of single votes."""


def find_evidence(
    votes: ReportVotes, labels: RandomLabels, key: bytes, progress: Callable[[], None] = lambda: None
) -> tuple[EvidenceSection, ...]:
    """Run each test for manipulation, provided that the votes have the columns that it needs.

    Args:
        votes: the votes between the rated models.
        labels: gives labels to voters and other private subjects.
        key: the key of the hash that assigns voters to folds.
        progress: called after each pass over some of the votes.

    Returns:
        One section for each test, in the order of the report. If the file does not allow a test, its section says why.
    """
    voters = why_no_voters(votes)
    timed = voters or _why_no_own_times(votes)
    compared = voters or _why_not_compared(votes)
    if compared is None:
        try:
            found = BacklogEvidence(votes, labels, key, progress=progress).sections()
        except RatingError as error:
            found = [one.unanswered(str(error)) for one in OF_BACKLOG]
    else:
        found = [one.unanswered(compared) for one in OF_BACKLOG]
    single, unusual, random, habit, group, cohort, weeks, styles = found
    return (
        single,
        _run(tests.FAST_VOTER, timed, lambda: fast_voters(votes, labels)),
        unusual,
        random,
        habit,
        group,
        cohort,
        _run(tests.LOCKSTEP, timed, lambda: lockstep_voters(votes, labels)),
        _run(tests.SHARE_BURST, "the file has no times" if votes.time is None else None, lambda: share_bursts(votes)),
        weeks,
        styles,
        sides(votes),
    )


def _why_not_compared(votes: ReportVotes) -> str | None:
    """Return why voters are not compared on a board with so many models, as the end of a sentence.

    None if the number of models allows it.
    """
    if len(votes.models) > MOST_MODELS:
        return f"voters are compared on boards of up to {MOST_MODELS:,} models, and this one has {len(votes.models):,}"
    return None


def why_no_voters(votes: ReportVotes) -> str | None:
    """Return why voters cannot be compared, as the end of a sentence; None if they can."""
    voter = votes.known("voter")
    if voter is None:
        return "the file names no voters"
    number = count_distinct(voter[voter >= 0])
    if number < LEAST_VOTERS:
        return f"the file names {number} voter{'s' * (number > 1)} only, so that nobody can be compared with others"
    return None


def _why_no_own_times(votes: ReportVotes) -> str | None:
    """Return why the times of single votes are unknown, as the end of a sentence; None if they are known.

    Votes that were written in batches, or with their day only, seem to be cast at the same time.
    """
    if votes.time is None:
        return "the file has no times"
    known = votes.time[votes.time != NO_TIME]
    if count_distinct(known // SECOND) * MOST_SHARED < len(known):
        return "most votes share their time with many others, so that it is not their own"
    return None


def _run(test: EvidenceTest, reason: str | None, run: Callable[[], EvidenceSection]) -> EvidenceSection:
    return run() if reason is None else test.unanswered(reason)
