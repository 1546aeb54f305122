"""Checks that the intervals of a bundle follow from the votes and from the operator's sums over voters.

The operator states these sums, because public votes do not name voters.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import Refuted
from ..ratings.pair_counts import PairCounts
from ..ratings.voter_scores import VoterScores
from . import interval_rows, published_intervals, published_views, size_limits, voter_scores_file
from .bundle import MANIFEST, BundleFiles, file_size
from .interval_rows import PublishedIntervals
from .manifest import Manifest
from .published_intervals import LEVEL, VIEWS


@dataclass(frozen=True, slots=True)
class StatedIntervals:
    """The intervals of a bundle, and the sums over voters from which the intervals must follow.

    Attributes:
        intervals: content of `intervals.json`.
        scores: view → its sums over voters.
    """

    intervals: PublishedIntervals
    scores: Mapping[str, VoterScores]

    def check(self, view: str, counts: PairCounts, manifest: Manifest) -> None:
        """Check that the intervals of a view follow from its votes and its sums over voters.

        Args:
            view: raw or defended.
            counts: pair counts of the view, without unregistered models.
            manifest: the manifest, which states the settings of the ratings.

        Raises:
            Refuted: reason `intervals`: an interval is wrong. The message names the model.
        """
        published = self.intervals
        ever = published.models_ever if view != "raw" else int((counts.battles_per_model() > 0).sum())
        stated = (published.level, published.models_ever, sorted(published.views))
        if stated != (LEVEL, ever, sorted(VIEWS)) or published.summed_at > manifest.vote_log.size:
            raise Refuted(
                "intervals",
                interval_rows.PATH,
                f"expected level {LEVEL}, {ever} models with votes, the views {' and '.join(VIEWS)}, and sums over at "
                f"most the {manifest.vote_log.size} leaves of the log",
            )
        anchor, share = published_views.rating_options(counts, manifest.configuration)
        published_intervals.check_intervals(published, view, counts, self.scores, anchor=anchor, share=share)


def read_stated(files: BundleFiles, manifest: Manifest) -> StatedIntervals | None:
    """Read the intervals of a bundle, and the sums over voters that belong to them.

    Returns:
        None for a bundle of an earlier version, which has no intervals.

    Raises:
        Refuted: reason `fields`: one of the two files is missing, or a field is wrong. Reason `canonical`,
            `voter_scores` or `limit`: one of the files cannot be read, or is too large.
    """
    intervals, scores = interval_rows.PATH, voter_scores_file.PATH
    there = [name in manifest.files for name in (intervals, scores)]
    if not any(there):
        return None
    if not all(there):
        raise Refuted("fields", f"{MANIFEST}.files", f"expected both {intervals} and {scores}, or neither")
    size_limits.require_size(intervals, file_size(files, intervals), size_limits.MAX_JSON)
    models = max(len(manifest.views.raw.rows), len(manifest.views.defended.rows))
    return StatedIntervals(
        interval_rows.read_intervals(files[intervals]), voter_scores_file.read(files[scores], models)
    )
