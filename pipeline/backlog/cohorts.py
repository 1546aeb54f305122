"""Divides the votes of a backlog into cohorts whose votes are evaluated together: one network, age, prompt or session.

Each kind of cohort states by how many logits an honest cohort's chances of a win may exceed the chances of all voters.
Such a difference is common to the voters of the cohort, so the taste of single voters does not explain it. The number
of logits is smallest for account ages, since accounts of different ages agree best. The number is largest for prompts,
since the voters under one prompt compare answers that no other voters see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.backlog.backlog_votes import BacklogVotes
from pipeline.vocabulary.arrays import Int32, Int64
from pipeline.vocabulary.large_arrays import keep
from pipeline.vocabulary.time import DAY, HOUR, NO_TIME

NETWORK, AGE, PROMPT, SESSION = "network", "age", "prompt", "session"
"""The kinds of cohorts."""

RAISED = {NETWORK: 0.3, AGE: 0.2, PROMPT: 1.0, SESSION: 0.3}
"""Kind of cohorts → number of logits by which an honest voter's chances of a win are raised before a test."""

LEAST_VOTERS = 5
"""Cohorts with fewer voters on a model are not tested: single voters have evidence of their own."""

AGES = (HOUR, DAY, 7 * DAY, 30 * DAY, 180 * DAY, 720 * DAY)
"""The upper ends of the ranges of account ages, in microseconds. A range includes its upper end.

One more range has all accounts that are older than the last of these ages.
"""

AGE_NAMES = (
    "accounts of unknown age",
    "accounts up to an hour old",
    "accounts from an hour to a day old",
    "accounts from a day to a week old",
    "accounts from a week to 30 days old",
    "accounts from 30 to 180 days old",
    "accounts from 180 to 720 days old",
    "accounts more than 720 days old",
)
"""The names of the ranges of account ages. The number of a range is its position here plus 1."""


@dataclass(frozen=True)
class Cohorts:
    """One division of the n votes of a backlog into cohorts.

    Attributes:
        kind: NETWORK, AGE, PROMPT or SESSION.
        group: int32[n], number of each vote's cohort, from 1; 0 for a vote in no cohort.
    """

    kind: str
    group: Int32

    @property
    def raised(self) -> float:
        """Number of logits by which the honest chances of a win are raised for cohorts of this kind."""
        return RAISED[self.kind]


def by_first_vote(kind: str, votes: BacklogVotes, group: npt.NDArray[np.integer]) -> Cohorts:
    """Return cohorts in which all votes of a voter are in the cohort of the voter's first vote.

    Args:
        kind: the kind of the cohorts, such as NETWORK.
        votes: the n votes of the backlog.
        group: int[n], number of each vote's cohort, from 1; 0 for a vote in no cohort.
    """
    return Cohorts(kind, keep(group[votes.starts[:-1]].astype(np.int32)[votes.voter]))


def by_age(votes: BacklogVotes, since: Int64) -> Cohorts:
    """Return cohorts of accounts of similar age.

    A cohort has the votes of accounts whose ages at their first vote are in one range (AGES, AGE_NAMES). Accounts of
    unknown age, and accounts whose first vote has no time, share a cohort of their own.

    Args:
        votes: the votes of the backlog.
        since: int64[n], the time at which the account of each vote's voter was made, in microseconds since 1970 UTC;
            NO_TIME if unknown.
    """
    first = votes.starts[:-1]
    at, since = votes.at[first], since[first]
    known = (since != NO_TIME) & (at != NO_TIME)
    age = np.maximum(np.where(known, at, 0) - np.where(known, since, 0), 0)
    stratum = np.where(known, np.searchsorted(np.array(AGES), age, side="left") + 2, 1)
    return Cohorts(AGE, keep(stratum.astype(np.int32)[votes.voter]))


def by_label(kind: str, votes: BacklogVotes, label: Int32) -> Cohorts:
    """Return cohorts of votes that have the same label, such as the same prompt.

    Votes with a label of fewer than LEAST_VOTERS voters are in no cohort.

    Args:
        kind: the kind of the cohorts.
        votes: the votes of the backlog.
        label: int32[n], the label of each vote, a number from 1; 0 for none. Memory grows with the largest label.
    """
    voters = np.zeros(int(label.max(initial=0)) + 1, dtype=np.int32)
    for run in votes.runs_of_voters():
        pairs = np.unique(label[run].astype(np.int64) * len(votes.names) + votes.voter[run])
        labels, count = np.unique(pairs // max(len(votes.names), 1), return_counts=True)
        voters[labels] += count.astype(np.int32)
    kept = voters >= LEAST_VOTERS
    return Cohorts(kind, keep(np.where(kept[label], label, 0).astype(np.int32)))
