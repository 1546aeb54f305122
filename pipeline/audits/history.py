"""`score_retraction` on a board of which only snapshots are public: what its history takes back.

Votes are never withdrawn by those who cast them: a cumulative count that is lower in a later snapshot, or a name
that is gone, means that scores were recomputed, cleaned, renamed or withdrawn. Published: counts fell in 73 of 87
transitions of a text board between June 2024 and August 2025, and 91 of its 309 names were gone at the end.

Blind spot: why. A public notice, a removal of duplicates and a silent withdrawal look alike here; so does a new name
for the same model. Of a name that stands twice in a snapshot the larger count is taken; `names_twice` lists it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np

from pipeline.audits import shares
from pipeline.audits.top_churn import TopChurn, top_churn
from pipeline.formats.published_boards import PublishedBoard


@dataclass(frozen=True, slots=True)
class Fall:
    """A vote count that is lower in the later of two snapshots; `model` is None for the board's total."""

    start: date
    end: date
    before: int
    after: int
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Gone:
    """A name that the last snapshot does not have, the last one that had it, and its votes there."""

    model: str
    last_seen: date
    votes: int


@dataclass(frozen=True, slots=True)
class StyleShifts:
    """Ranks under style control against plain ranks, in one snapshot.

    Attributes:
        day: of the snapshot.
        compared: models with both ranks.
        shifted: of those, how many have two different ranks.
        mean: mean of |style rank − rank| in places.
        models: (model, rank, rank under style control), the largest shift first, then by rank; only those shifted.
    """

    day: date
    compared: int
    shifted: int
    mean: float
    models: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class VoteShares:
    """Shares of the votes that a snapshot counts; a battle counts for both of its models.

    Attributes:
        day: of the snapshot.
        total: the sum of the models' counts.
        organizations, licenses, groups: share by organisation, by licence as published, and by licence group.
        hhi: concentration over organisations.
        gini: inequality over models.
    """

    day: date
    total: int
    organizations: dict[str, float]
    licenses: dict[str, float]
    groups: dict[str, float]
    hhi: float
    gini: float


@dataclass(frozen=True, slots=True)
class BoardHistory:
    """What a board's snapshots say of each other.

    Attributes:
        board: its name.
        days: of the snapshots, ascending.
        falls: every count of a model that fell.
        total_falls: the same of the board's total.
        names_seen: how many names ever stood there.
        gone: names that are not in the last snapshot, by name.
        names_twice: (day, name) that stands more than once in a snapshot.
        style: one entry a snapshot that gives ranks under style control.
        shares: one entry a snapshot that counts a vote.
        top: changes of the first place.
    """

    board: str
    days: tuple[date, ...]
    falls: tuple[Fall, ...]
    total_falls: tuple[Fall, ...]
    names_seen: int
    gone: tuple[Gone, ...]
    names_twice: tuple[tuple[date, str], ...]
    style: tuple[StyleShifts, ...]
    shares: tuple[VoteShares, ...]
    top: TopChurn

    @property
    def transitions(self) -> int:
        """Pairs of neighbouring snapshots."""
        return len(self.days) - 1

    @property
    def transitions_with_falling_votes(self) -> int:
        """Those in which at least one model that stands in both has fewer votes in the later one."""
        return len({fall.start for fall in self.falls})

    @property
    def suspicious(self) -> bool:
        """Whether anything was taken back: votes of a model, of the board, or a name."""
        return bool(self.falls or self.total_falls or self.gone)


def board_history(snapshots: Sequence[PublishedBoard]) -> BoardHistory:
    """Compare each snapshot of one board with the next.

    Args:
        snapshots: at least one, the oldest first.
    """
    counts = [_votes(snapshot) for snapshot in snapshots]
    falls, total_falls = [], []
    for (earlier, before), (later, after) in pairwise(zip(snapshots, counts, strict=True)):
        falls += [
            Fall(earlier.day, later.day, votes, after[model], model)
            for model, votes in sorted(before.items())
            if after.get(model, votes) < votes
        ]
        totals = int(earlier.votes.sum()), int(later.votes.sum())
        if totals[1] < totals[0]:
            total_falls.append(Fall(earlier.day, later.day, *totals))
    last = {model: i for i, count in enumerate(counts) for model in count}
    return BoardHistory(
        snapshots[0].board,
        tuple(snapshot.day for snapshot in snapshots),
        tuple(falls),
        tuple(total_falls),
        len(last),
        tuple(Gone(m, snapshots[i].day, counts[i][m]) for m, i in sorted(last.items()) if i < len(snapshots) - 1),
        tuple((s.day, m) for s in snapshots for m, times in sorted(Counter(s.models).items()) if times > 1),
        tuple(style_shifts(s) for s in snapshots if np.isfinite(s.style_rank).any()),
        tuple(vote_shares(s) for s in snapshots if s.votes.any()),
        top_churn(snapshots),
    )


def style_shifts(snapshot: PublishedBoard) -> StyleShifts:
    """Ranks under style control against plain ranks; models without one of the two are left out."""
    rows = np.flatnonzero(np.isfinite(snapshot.rank) & np.isfinite(snapshot.style_rank))
    shift = np.abs(snapshot.style_rank[rows] - snapshot.rank[rows])
    order = sorted(range(len(rows)), key=lambda k: (-shift[k], snapshot.rank[rows[k]]))
    listed = tuple(
        (snapshot.models[rows[k]], int(snapshot.rank[rows[k]]), int(snapshot.style_rank[rows[k]]))
        for k in order
        if shift[k]
    )
    return StyleShifts(snapshot.day, len(rows), len(listed), float(shift.mean()) if len(rows) else 0.0, listed)


def vote_shares(snapshot: PublishedBoard) -> VoteShares:
    """Shares of one snapshot.

    Raises:
        BadCounts: it counts no vote.
    """
    votes = snapshot.votes.tolist()
    by_organization = shares.summed(snapshot.organizations, votes)
    groups = [shares.license_group(name) for name in snapshot.licenses]
    return VoteShares(
        snapshot.day,
        int(snapshot.votes.sum()),
        shares.shares(by_organization),
        shares.shares(shares.summed(snapshot.licenses, votes)),
        shares.shares(shares.summed(groups, votes)),
        shares.hhi(list(by_organization.values())),
        shares.gini(votes),
    )


def _votes(snapshot: PublishedBoard) -> dict[str, int]:
    result: dict[str, int] = {}
    for model, votes in zip(snapshot.models, snapshot.votes.tolist(), strict=True):
        result[model] = max(votes, result.get(model, 0))
    return result
