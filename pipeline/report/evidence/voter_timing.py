"""Finds voters who vote faster than anybody reads, and voters who cast the same votes at the same time."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from pipeline.audits.lockstep import BUCKET, LockstepGroup, lockstep_of_cells
from pipeline.detectors.voter.voter_rate import VoterRate
from pipeline.evidence import Reference
from pipeline.report.evidence.evidence_section import EvidenceFinding, EvidenceSection, capital, count
from pipeline.report.evidence.evidence_tests import FAST_VOTER, LOCKSTEP
from pipeline.report.evidence.random_labels import RandomLabels
from pipeline.report.report_votes import NO_TIME, ReportVotes
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.large_arrays import PIECE, count_distinct, keep, new_large, pieces
from pipeline.vocabulary.outcomes import OUTCOME_CODES
from pipeline.vocabulary.time import SECOND

LEAST_ODDS = 1e6
"""A voter is named if the likelihood ratio of fast voting to honest voting is at least this large.

A voter who casts at most two votes a minute on average reaches this value at most once in 10⁶ votes."""

# Members of a group that are named.
_NAMED = 100


def fast_voters(votes: ReportVotes, labels: RandomLabels) -> EvidenceSection:
    """Test for voters who vote faster than anybody reads (detector `voter_rate`), and return the section about them.

    Args:
        votes: the votes; voters and times must be known.
        labels: gives labels to voters.
    """
    assert votes.voter is not None and votes.time is not None  # noqa: S101  # the caller has checked it
    rows = np.flatnonzero((votes.voter >= 0) & (votes.time != NO_TIME))
    rows = keep(rows[np.lexsort((votes.time[rows], votes.voter[rows]))])
    who = keep(votes.voter[rows])
    edges = np.unique([0, *np.searchsorted(who, who[PIECE::PIECE]), len(who)]).tolist()
    voters = 0
    found: list[EvidenceFinding] = []
    for low, high in pairwise(edges):
        names, one = _fast_in_run(who[low:high], votes.time[rows[low:high]], labels)
        voters, found = voters + names, found + one
    return FAST_VOTER.answered(found, "Nobody votes again and again within seconds.", voters=voters, votes=len(rows))


def _fast_in_run(who: Int64, time: Int64, labels: RandomLabels) -> tuple[int, list[EvidenceFinding]]:
    """Return the number of voters in votes that are sorted by voter and time, and the findings about fast voters."""
    names, voter = np.unique(who, return_inverse=True)
    zero = np.zeros(len(who), dtype=np.int64)
    given = VoterVotes(
        voter.ravel().astype(np.int64), names, 0, np.arange(len(who)), time, zero, zero + 1, zero.astype(np.int8), zero
    )
    _, alerts = VoterRate().observe(given, [None] * len(names), _any_models())
    strongest: dict[int, float] = {}
    for alert in alerts:
        one = int(given.voter[alert.offset])
        strongest[one] = max(strongest.get(one, 0.0), alert.e_value or 0.0)
    return len(names), [
        _fast(labels.of("voter", int(names[one])), odds, given.at[given.voter == one])
        for one, odds in strongest.items()
        if odds >= LEAST_ODDS
    ]


def _fast(label: str, odds: float, at: Int64) -> EvidenceFinding:
    gap = float(np.median(np.diff(at))) / SECOND
    return EvidenceFinding(
        kind="voter", subject=label, direction="votes faster than anybody reads", odds=odds, votes=len(at),
        sentence=f"{capital(label)} votes faster than anybody reads: {count(len(at), 'vote')}, half of them within "
        f"{gap:,.0f} seconds of the one before.",
        details={"median_seconds": gap},
    )  # fmt: skip


def _any_models() -> Reference:
    """Return a reference that rates the models 0 and 1, because the detector skips votes on models without a rating."""
    return Reference(1, np.arange(2), np.zeros(2), np.zeros((2, 2)), 0.3, (3.0, 7.0))


def lockstep_voters(votes: ReportVotes, labels: RandomLabels) -> EvidenceSection:
    """Test for voters who cast the same votes at the same time (audit `lockstep`), and return the section about them.

    Args:
        votes: the votes; voters and times must be known.
        labels: gives labels to voters.
    """
    assert votes.voter is not None and votes.time is not None  # noqa: S101  # the caller has checked it
    rows = np.flatnonzero(votes.time != NO_TIME)
    what, when = new_large((len(rows),), np.int32), new_large((len(rows),), np.int64)
    for piece in pieces(len(rows)):
        a, b, outcome = (column[rows[piece]] for column in votes.codes)
        decided = outcome < OUTCOME_CODES["tie"]
        pair = np.minimum(a, b) * len(votes.models) + np.maximum(a, b)
        what[piece] = pair * len(OUTCOME_CODES) + np.where(decided & (a > b), 1 - outcome, outcome)
        when[piece] = votes.time[rows[piece]] // BUCKET
    prompt = np.broadcast_to(np.int64(0), len(rows)) if votes.prompt is None else keep(votes.prompt[rows] + 1)
    groups = lockstep_of_cells(keep(votes.voter[rows]), what, when, prompt)
    voters = count_distinct(votes.voter[votes.voter >= 0])
    found = [_group(one, voters, votes, labels) for one in groups]
    return LOCKSTEP.answered(
        found, "No voters cast the same votes at the same time more often than chance explains.", voters=voters
    )


def _group(one: LockstepGroup, voters: int, votes: ReportVotes, labels: RandomLabels) -> EvidenceFinding:
    assert votes.voter is not None  # noqa: S101  # as above
    names = [labels.of("voter", who) for who in one.voters[:_NAMED]]
    cast = int(np.isin(votes.voter, one.voters).sum())
    odds = math.exp(min(one.score, 600.0)) / (max(voters, 2) ** 2 / 2)
    return EvidenceFinding(
        kind="voter", subject=names[0], direction="vote in lockstep", odds=odds, votes=cast,
        sentence=f"{len(one.voters):,} voters vote in lockstep: {one.cells:,} times two or more of them voted alike on "
        "one pair within ten minutes.",
        details={"voters": len(one.voters), "labels": names, "shared": one.cells, "density": one.density},
    )  # fmt: skip
