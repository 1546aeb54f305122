"""Runs the audit `score_retraction` on published snapshots: finds vote counts that fell and names that were removed.

Voters cannot withdraw votes. So if a cumulative vote count is lower in a later snapshot or a name is missing, scores
were recomputed, cleaned, renamed or withdrawn. Example: on a published text board, counts fell in 73 of 87 transitions
between June 2024 and August 2025. At the end, 91 of its 309 names were missing.

Blind spot: the reason for a change. An announced removal, a removal of duplicates, a silent withdrawal and a new name
for the same model look the same here. If a snapshot lists a name twice, the larger count is used.
"""

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
class VoteCountDrop:
    """A vote count that is lower in the later of two successive snapshots.

    Attributes:
        start: day of the earlier snapshot.
        end: day of the later snapshot.
        before: number of votes in the earlier snapshot.
        after: number of votes in the later snapshot.
        model: name of the model; None for the total of the board.
    """

    start: date
    end: date
    before: int
    after: int
    model: str | None = None


@dataclass(frozen=True, slots=True)
class RemovedName:
    """A model name that an earlier snapshot has and the last snapshot lacks.

    Attributes:
        model: the name.
        last_seen: day of the last snapshot with this name.
        votes: number of its votes in that snapshot.
    """

    model: str
    last_seen: date
    votes: int


@dataclass(frozen=True, slots=True)
class StyleShifts:
    """Differences between ranks with and without style control in one snapshot.

    Attributes:
        day: day of the snapshot.
        compared: number of models with both ranks.
        shifted: number of these models whose two ranks differ.
        mean: mean of |style rank − rank| over the compared models, in places.
        models: triples of name, rank and rank under style control, one for each shifted model, largest shift first,
            then by rank.
    """

    day: date
    compared: int
    shifted: int
    mean: float
    models: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class VoteShares:
    """Shares of the votes of one snapshot. Each vote counts for both models of its battle.

    Attributes:
        day: day of the snapshot.
        total: the sum of the models' vote counts, twice the number of votes.
        organizations: organisation → share of `total`, from 0 to 1.
        licenses: licence as published → share of `total`.
        groups: licence group → share of `total`.
        hhi: concentration over organisations, the sum of the squared shares.
        gini: Gini coefficient of the vote counts of models.
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
    """Changes over the published snapshots of one board.

    Attributes:
        board: name of the board.
        days: days of the snapshots, ascending.
        falls: each decrease of a model's vote count from one snapshot to the next.
        total_falls: each decrease of the board's total vote count from one snapshot to the next.
        names_seen: number of different names in all snapshots.
        gone: names that the last snapshot lacks, sorted by name.
        names_twice: day and name for each name that a snapshot lists more than once.
        style: one entry for each snapshot that has ranks under style control.
        shares: one entry for each snapshot that has votes.
        top: changes of the first place.
    """

    board: str
    days: tuple[date, ...]
    falls: tuple[VoteCountDrop, ...]
    total_falls: tuple[VoteCountDrop, ...]
    names_seen: int
    gone: tuple[RemovedName, ...]
    names_twice: tuple[tuple[date, str], ...]
    style: tuple[StyleShifts, ...]
    shares: tuple[VoteShares, ...]
    top: TopChurn

    @property
    def transitions(self) -> int:
        """Number of transitions, which are pairs of successive snapshots."""
        return len(self.days) - 1

    @property
    def transitions_with_falling_votes(self) -> int:
        """Number of transitions in which at least one model has fewer votes in the later snapshot."""
        return len({fall.start for fall in self.falls})

    @property
    def suspicious(self) -> bool:
        """Whether a vote count fell or a name was removed."""
        return bool(self.falls or self.total_falls or self.gone)


def board_history(snapshots: Sequence[PublishedBoard]) -> BoardHistory:
    """Compare each snapshot of one board with the next.

    Args:
        snapshots: at least one snapshot of the board, oldest first.

    Returns:
        All changes between successive snapshots.
    """
    counts = [_votes(snapshot) for snapshot in snapshots]
    falls, total_falls = [], []
    for (earlier, before), (later, after) in pairwise(zip(snapshots, counts, strict=True)):
        falls += [
            VoteCountDrop(earlier.day, later.day, votes, after[model], model)
            for model, votes in sorted(before.items())
            if after.get(model, votes) < votes
        ]
        totals = int(earlier.votes.sum()), int(later.votes.sum())
        if totals[1] < totals[0]:
            total_falls.append(VoteCountDrop(earlier.day, later.day, *totals))
    last = {model: i for i, count in enumerate(counts) for model in count}
    return BoardHistory(
        snapshots[0].board,
        tuple(snapshot.day for snapshot in snapshots),
        tuple(falls),
        tuple(total_falls),
        len(last),
        tuple(
            RemovedName(m, snapshots[i].day, counts[i][m]) for m, i in sorted(last.items()) if i < len(snapshots) - 1
        ),
        tuple((s.day, m) for s in snapshots for m, times in sorted(Counter(s.models).items()) if times > 1),
        tuple(style_shifts(s) for s in snapshots if np.isfinite(s.style_rank).any()),
        tuple(vote_shares(s) for s in snapshots if s.votes.any()),
        top_churn(snapshots),
    )


def style_shifts(snapshot: PublishedBoard) -> StyleShifts:
    """Compare the ranks with and without style control in one snapshot. Models that lack either rank are left out."""
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
    """Return the shares of organisations and licences in the votes of one snapshot.

    Raises:
        BadCounts: the snapshot has no votes.
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
