"""Computes and checks the intervals of `intervals.json`: clustered intervals, confidence sequences and sure ranks.

Every number follows from the public votes, from the settings in the manifest, and from the file `voter-scores.parquet`,
which the operator states. The manifest has the ratings and ranks, with intervals that need no such file.
"""

from collections.abc import Callable, Mapping
from functools import cache

from ..errors import BadCounts, RatingError, Refuted
from ..ratings.bradley_terry import fit
from ..ratings.leaderboard import compute_leaderboard
from ..ratings.pair_counts import PairCounts
from ..ratings.rated_models import select_rated_models
from ..ratings.voter_intervals import VoterIntervals, voter_intervals
from ..ratings.voter_scores import VoterScores
from . import voter_scores_file
from .interval_rows import COLUMNS, PATH, IntervalRow, PublishedIntervals

VIEWS = voter_scores_file.VIEWS
LEVEL = 0.95

# Points; half of the last published digit and a little.
_ROUNDING = 0.005 + 1e-5
# Levels a little below and above LEVEL, whose ranks bound the published ones.
_NEARLY = 1e-7


def interval_rows(found: VoterIntervals) -> tuple[IntervalRow, ...]:
    """Convert computed intervals to rows of `intervals.json`, rounded to 0.01 points."""
    seq = found.sequences
    rows = []
    for i, model in enumerate(found.models):
        last = i == len(found.models) - 1
        gap, margin = (0.0, 0.0) if last else (float(seq.gap[i]), float(seq.gap_margin[i]))
        rows.append(
            IntervalRow(
                model,
                round(float(found.lower[i]), 2),
                round(float(found.upper[i]), 2),
                int(found.rank_best[i]),
                int(found.rank_worst[i]),
                round(float(found.rating[i] - seq.margin[i]), 2),
                round(float(found.rating[i] + seq.margin[i]), 2),
                int(seq.sure_best[i]),
                int(seq.sure_worst[i]),
                None if last else round(gap - margin, 2),
                None if last else round(gap + margin, 2),
            )
        )
    return tuple(rows)


def compute_intervals(
    counts: PairCounts,
    scores: VoterScores,
    *,
    anchor: tuple[str, float] | None,
    share: float,
    models_ever: int,
    level: float = LEVEL,
) -> VoterIntervals:
    """Compute the clustered intervals, confidence sequences and sure ranks of a view.

    Args:
        counts: pair counts of the view.
        scores: the sums over voters of the view's rated models, in any order of the models.
        anchor: a model and the points that its rating is shifted to; None for a mean of 1000 over the rated models.
        share: smallest share of the votes, from 0 to 1, that the largest connected component must have.
        models_ever: number of models with votes in the raw view.
        level: the coverage, from 0 to 1.

    Raises:
        RatingError: the votes have no estimate.
        BadCounts: the sums are not about the rated models.
    """
    board = compute_leaderboard(counts, anchor=anchor, least_share=share)
    rated, _ = select_rated_models(counts, least_share=share)
    scores = scores.in_order(rated.models)
    return voter_intervals(board, fit(rated), rated, scores, level=level, models_ever=models_ever)


def check_intervals(
    published: PublishedIntervals,
    view: str,
    counts: PairCounts,
    scores: Mapping[str, VoterScores],
    *,
    anchor: tuple[str, float] | None,
    share: float,
) -> None:
    """Check that the intervals of a view follow from the votes and the sums over voters.

    Args:
        published: the intervals of the snapshot.
        view: raw or defended.
        counts: pair counts of the view.
        scores: view → its sums over voters.
        anchor: a model and the points that its rating is shifted to; None for a mean of 1000 over the rated models.
        share: smallest share of the votes, from 0 to 1, that the largest connected component must have.

    Raises:
        Refuted: reason `intervals`: an interval is wrong. The message names the view and the model.
    """
    if view not in published.views or view not in scores:
        raise Refuted("intervals", PATH, f"expected the view {view} in {PATH} and in {voter_scores_file.PATH}")
    ever = published.models_ever

    @cache
    def computed(level: float) -> dict[str, IntervalRow]:
        found = compute_intervals(counts, scores[view], anchor=anchor, share=share, models_ever=ever, level=level)
        return {row.model: row for row in interval_rows(found)}

    rows = {row.model: row for row in published.views[view]}
    try:
        if len(rows) != len(published.views[view]) or rows.keys() != computed(LEVEL).keys():
            rated = len(computed(LEVEL))
            raise Refuted("intervals", f"{PATH}, view {view}", f"expected {rated} rated models, each once")
        for model, row in rows.items():
            _check_row(row, lambda level, model=model: computed(level)[model], f"{PATH}, view {view}, {model}")  # type: ignore[misc]
    except (RatingError, BadCounts) as error:
        raise Refuted("intervals", f"{PATH}, view {view}", f"the votes give no intervals: {error}") from None


def _check_row(row: IntervalRow, computed: Callable[[float], IntervalRow], where: str) -> None:
    """Check a published row of intervals.

    Args:
        row: the published row.
        computed: a function that takes a coverage and returns the row that the votes give with this coverage.
        where: place of the row, for messages.
    """
    expected = computed(LEVEL)
    for name in COLUMNS:
        stated, value = getattr(row, name), getattr(expected, name)
        if stated is None or value is None:
            right = stated is value
        elif isinstance(value, int):
            right = stated == value or _is_undecided(name, stated, value, computed)
        else:
            right = abs(stated - value) <= _ROUNDING and round(stated, 2) == stated
        if not right:
            raise Refuted("intervals", where, f"the votes and voter scores give {name} {value}, published is {stated}")


def _is_undecided(name: str, stated: int, value: int, computed: Callable[[float], IntervalRow]) -> bool:
    """Return whether rounding may explain a stated rank: a slightly smaller or larger coverage gives this rank."""
    near = [getattr(computed(LEVEL + step), name) for step in (-_NEARLY, _NEARLY)]
    return bool(min(*near, value) <= stated <= max(*near, value))
