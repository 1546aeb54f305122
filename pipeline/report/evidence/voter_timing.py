"""Finds voters who vote faster than anybody reads, and voters who cast the same votes at the same time."""

from __future__ import annotations

import math

import numpy as np

from pipeline.audits.lockstep import LockstepGroup, lockstep
from pipeline.detectors.voter.voter_rate import VoterRate
from pipeline.evidence import Reference
from pipeline.report.evidence.evidence_section import EvidenceFinding, EvidenceSection, capital, count
from pipeline.report.evidence.evidence_tests import FAST_VOTER, LOCKSTEP
from pipeline.report.evidence.random_labels import RandomLabels
from pipeline.report.report_votes import NO_TIME, ReportVotes
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.outcomes import OUTCOME_CODES
from pipeline.vocabulary.time import SECOND

LEAST_ODDS = 1e6
"""The evidence from which a voter is named. An honest voter reaches it at most once in 10⁶ votes on average.

Honest means: at most two votes a minute on average."""

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
    rows = rows[np.lexsort((votes.time[rows], votes.voter[rows]))]
    names, voter = np.unique(votes.voter[rows], return_inverse=True)
    zero = np.zeros(len(rows), dtype=np.int64)
    given = VoterVotes(
        voter.ravel().astype(np.int64), names, 0, np.arange(len(rows)), votes.time[rows], zero, zero + 1,
        zero.astype(np.int8), zero,
    )  # fmt: skip
    _, alerts = VoterRate().observe(given, [None] * len(names), _any_models())
    strongest: dict[int, float] = {}
    for alert in alerts:
        who = int(given.voter[alert.offset])
        strongest[who] = max(strongest.get(who, 0.0), alert.e_value or 0.0)
    found = [
        _fast(labels.of("voter", int(names[who])), odds, given.at[given.voter == who])
        for who, odds in strongest.items()
        if odds >= LEAST_ODDS
    ]
    return FAST_VOTER.answered(
        found, "Nobody votes again and again within seconds.", voters=len(names), votes=len(rows)
    )


def _fast(label: str, odds: float, at: Int64) -> EvidenceFinding:
    gap = float(np.median(np.diff(at))) / SECOND
    return EvidenceFinding(
        kind="voter", subject=label, direction="votes faster than anybody reads", odds=odds, votes=len(at),
        sentence=f"{capital(label)} votes faster than anybody reads: {count(len(at), 'vote')}, half of them within "
        f"{gap:,.0f} seconds of the one before.",
        details={"median_seconds": gap},
    )  # fmt: skip


def _any_models() -> Reference:
    """Return a reference that rates the models 0 and 1. The detector evaluates only votes on rated models."""
    return Reference(1, np.arange(2), np.zeros(2), np.zeros((2, 2)), 0.3, (3.0, 7.0))


def lockstep_voters(votes: ReportVotes, labels: RandomLabels) -> EvidenceSection:
    """Test for voters who cast the same votes at the same time (audit `lockstep`), and return the section about them.

    Args:
        votes: the votes; voters and times must be known.
        labels: gives labels to voters.
    """
    assert votes.voter is not None and votes.time is not None  # noqa: S101  # the caller has checked it
    rows = np.flatnonzero(votes.time != NO_TIME)
    a, b = votes.model_a[rows].astype(np.int64), votes.model_b[rows].astype(np.int64)
    pair = np.minimum(a, b) * len(votes.models) + np.maximum(a, b)
    decided = votes.outcome[rows] < OUTCOME_CODES["tie"]
    outcome = np.where(decided & (a > b), 1 - votes.outcome[rows], votes.outcome[rows])
    prompt = np.zeros(len(rows), dtype=np.int64) if votes.prompt is None else votes.prompt[rows] + 1
    groups = lockstep(votes.voter[rows], pair, outcome, votes.time[rows], prompt)
    voters = len(np.unique(votes.voter[votes.voter >= 0]))
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
