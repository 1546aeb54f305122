"""Computes confidence sequences and clustered intervals, which allow for dependence between the votes of one voter.

Both need sums over voters (`ratings.voter_scores`). A refresh computes these sums from all votes in five cases: the log
is small, it has grown by a twentieth since the sums were stored, the set of rated models has changed, the rules of the
method have changed, or an exclusion was undone.

In all other cases a refresh updates the stored sums. It subtracts the votes that were excluded in the meantime, and
scales the sums up in proportion to the number of votes. For the subtraction it uses the same ratings as the stored
sums, so that nothing remains of a voter whose votes are all excluded. The time of an update depends on the number of
new votes only.

The intervals and the sums are two files of the bundle. The body of the snapshot has their digests.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
from sqlalchemy.engine import Connection

from pipeline.jobs.refresh.board_rows import rating_options
from pipeline.jobs.refresh.rating_input import VIEWS, RatingInput
from pipeline.ledger import canonical_json, published_intervals, voter_scores_file
from pipeline.ledger.interval_rows import IntervalRow, PublishedIntervals
from pipeline.ratings import Fit, PairCounts, fit, select_rated_models
from pipeline.ratings.method import Method
from pipeline.ratings.voter_score_sums import VoterBattles, sum_voter_scores
from pipeline.ratings.voter_scores import VoterScores, carry_on, vote_scatter
from pipeline.settings import Settings
from pipeline.store.db.ledger_files import LedgerFiles
from pipeline.store.log import newest_votes, retractions, voter_sums
from pipeline.store.log.newest_votes import NewestVotes
from pipeline.store.log.voter_sums import KeptVoterSums
from pipeline.store.votes.packed_positions import pack_position
from pipeline.vocabulary.arrays import Bool, Float64, Int64
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.method_rules import rule_mask

MOST_VOTES = 5_000_000
"""Largest number of votes that are summed, which takes about 20 s. If there are more votes, the newest are summed, and
the sums are scaled to all votes."""
ALWAYS = 2_000
"""A log with at most this number of leaves is summed from all votes at each refresh."""
MOST_GROWTH = 1.05
"""Stored sums are computed anew once the number of votes has grown by more than this factor since the last time."""

LEAST_LEFT = 0.25
"""After excluded votes are subtracted, the sum over voters divided by the sum over single votes must be at least this
for every model. Otherwise the sums over voters are computed anew. The subtraction is not exact if only some votes of a
voter are excluded: products of excluded and counted votes of the voter remain in the sums."""

ReadVotes = Callable[[], NewestVotes]


def state_intervals(
    connection: Connection, files: LedgerFiles, given: RatingInput, options: Settings, method: Method, log_size: int
) -> dict[str, Any]:
    """Compute the intervals of the raw and the defended view, and write them to a ledger file.

    The sums over voters from which the intervals are computed are written to a second file.

    Args:
        connection: a connection with a write transaction.
        files: the ledger's files.
        given: the input of the rating.
        options: the settings.
        method: the method of the store's boards.
        log_size: number of leaves of the vote log.

    Returns:
        {"sha256", "scores_sha256"}: SHA-256 of the file of intervals and of the file of sums, for the body of the
        snapshot.
    """

    @cache
    def votes() -> NewestVotes:
        found = newest_votes.read_newest(connection, log_size, MOST_VOTES)
        return found.without(retractions.retracted_positions(connection, log_size))

    ever = int((given.views["raw"].battles_per_model() > 0).sum())
    rows: dict[str, tuple[IntervalRow, ...]] = {}
    scores: dict[str, VoterScores] = {}
    summed_at = log_size
    for view in VIEWS:
        rules = rule_mask(method.rules) if view == "defended" else 0
        part = _ViewSums(connection, view, given, log_size, rules, votes)
        scores[view], at = part.scores(options)
        summed_at = min(summed_at, at)
        anchor, share = rating_options(given.views[view], options)
        found = published_intervals.compute_intervals(
            given.views[view], scores[view], anchor=anchor, share=share, models_ever=ever
        )
        rows[view] = published_intervals.interval_rows(found)
    document = PublishedIntervals(published_intervals.LEVEL, ever, summed_at, rows)
    return {
        "sha256": files.put(canonical_json.dump(document)),
        "scores_sha256": files.put(voter_scores_file.write(scores)),
    }


@dataclass(frozen=True, slots=True)
class _ViewSums:
    """Computes the sums over the voters of one view (`store.log.voter_sums`), from stored sums if they are usable."""

    connection: Connection
    view: str
    given: RatingInput
    log_size: int
    rules: int
    votes: ReadVotes

    def scores(self, options: Settings) -> tuple[VoterScores, int]:
        """Return the sums as they are published, and the size of the log at which they were computed from all votes."""
        counts = self.given.views[self.view]
        rated, _ = select_rated_models(counts, least_share=rating_options(counts, options)[1])
        fitted, numbers = fit(rated), np.array([self.given.model_no[name] for name in rated.models], dtype=np.int64)
        excluded = np.array(sorted(self.given.excluded_rows), dtype=np.int64) if self.view == "defended" else _NONE
        kept = voter_sums.read_sums(self.connection, self.view)
        if kept is not None and self._usable(kept, numbers, excluded, rated.total):
            kept = self._without(kept, fitted, rated, np.setdiff1d(excluded, kept.excluded))
        else:
            kept = None
        if kept is None:
            kept = self._sum_all(fitted, rated, numbers, excluded)
            if self.log_size > ALWAYS:
                voter_sums.keep_sums(self.connection, self.view, kept)
        sums = VoterScores(rated.models, kept.scatter, kept.fourth)
        growth = rated.total / max(kept.votes, 1)
        return voter_scores_file.as_published(carry_on(sums, kept.single, fitted, rated, growth)), kept.log_size

    def _usable(self, kept: KeptVoterSums, numbers: Int64, excluded: Int64, votes: int) -> bool:
        return (
            ALWAYS < kept.log_size <= self.log_size
            and votes <= MOST_GROWTH * kept.total
            and kept.rules == self.rules
            and np.array_equal(kept.models, numbers)
            and not len(np.setdiff1d(kept.excluded, excluded))
        )

    def _sum_all(self, fitted: Fit, rated: PairCounts, numbers: Int64, excluded: Int64) -> KeptVoterSums:
        votes = self.votes()
        counted = np.isin(votes.fate, COUNTED) & (votes.flags & self.rules == 0)
        if len(excluded):
            rows = self.given.excluded_rows.values()
            counted &= ~np.isin(votes.position, [pack_position(row.partition_no, row.offset) for row in rows])
        battles = _on_axis(numbers, votes.voter, votes.model_a, votes.model_b, votes.outcome, counted)
        sums = sum_voter_scores(fitted, rated.models, battles)
        single = _single(fitted, rated.models, battles)
        return KeptVoterSums(
            self.log_size, len(battles.voter), rated.total, self.rules, numbers, excluded, sums.scatter, single,
            sums.fourth, fitted.theta,
        )  # fmt: skip

    def _without(self, kept: KeptVoterSums, fitted: Fit, rated: PairCounts, leaves: Int64) -> KeptVoterSums | None:
        """Return the stored sums without the votes that were excluded since; None if all must be computed anew.

        Args:
            kept: the stored sums.
            fitted: the fit of the view.
            rated: the counted votes between the rated models.
            leaves: int64, leaf indices of the votes that were excluded since, ascending.
        """
        before = leaves[leaves < kept.log_size]
        if not len(before):
            return kept
        if before[0] < kept.log_size - MOST_VOTES:
            return None  # older than the votes in the sums, which begin at a border of segments near there
        rows = [self.given.excluded_rows[leaf] for leaf in before.tolist()]
        voter, a, b, outcome = np.array([[r.voter, r.model_a, r.model_b, r.outcome] for r in rows], dtype=np.int64).T
        battles = _on_axis(kept.models, voter, a, b, outcome)
        then = replace(fitted, theta=kept.theta)
        sums = sum_voter_scores(then, rated.models, battles)
        left = replace(
            kept,
            votes=kept.votes - len(battles.voter),
            scatter=kept.scatter - sums.scatter,
            single=kept.single - _single(then, rated.models, battles),
            fourth=np.maximum(kept.fourth - sums.fourth, 0.0),
        )
        return left if (np.diag(left.scatter) >= LEAST_LEFT * np.diag(left.single)).all() else None


_NONE = np.zeros(0, dtype=np.int64)


def _on_axis(
    numbers: Int64, voter: Any, a: Any, b: Any, outcome: Any, counted: Bool | Literal[True] = True
) -> VoterBattles:
    """Return the counted votes between models whose numbers are in `numbers`.

    The code of a model in the result is the position of its number in `numbers`.
    """
    place = np.full(max(int(max(column.max(initial=0) for column in (a, b, numbers))), 0) + 1, -1, dtype=np.int32)
    place[numbers] = np.arange(len(numbers))
    left, right = place[a], place[b]
    chosen = (left >= 0) & (right >= 0) & counted
    return VoterBattles(voter[chosen], left[chosen], right[chosen], outcome[chosen])


def _single(fitted: Fit, models: tuple[str, ...], battles: VoterBattles) -> Float64:
    return vote_scatter(fitted, PairCounts.from_codes(models, battles.model_a, battles.model_b, battles.outcome))
