"""Finds hours and days in which a model gets more than three times its share of the votes.

Formula: a bin is an hour (or a day). x of the n votes of the bin are on the model. π is the model's share of the votes
around the bin: within three and a half days before and after an hour, or within two weeks before and after a day. The
bin itself is left out, and so are votes before the model's first vote or after its last. Null hypothesis: x has the
mean nπ⁺ and the variance φnπ⁺, with π⁺ = π + 2 SE(π). φ ≥ 1 is the mean squared deviation of the counts x of all models
and bins of one width from nπ, in units of the binomial variance. Squares above their 99th percentile count as this
percentile. The p-value is the upper tail of a negative binomial distribution (a Poisson distribution if φ = 1), times
the number of tests.

A finding needs more than 3 nπ⁺ votes on the model, and at least 10. The factor 3 avoids findings about a board that
begins to show a model more often. In the first bin after such a change, about half of the votes around the bin were
cast after the change, so the model's share in the bin is at most about twice π. If the board shows a model more often
for a short time only, there may be a finding nevertheless.

Source: the detector `vote_burst`, which computes the share and its upper bound in the same way. Blind spot: a burst
below three times the share; one that lasts for days; votes without a time; many small models that burst together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, pdtrc

from pipeline.report.evidence.evidence_section import EvidenceFinding, EvidenceSection
from pipeline.report.evidence.evidence_tests import SHARE_BURST, TEST_ALPHA
from pipeline.report.report_votes import NO_TIME, ReportVotes
from pipeline.vocabulary.arrays import Bool, Float64, Int32, Int64
from pipeline.vocabulary.large_arrays import pieces
from pipeline.vocabulary.time import DAY, HOUR, format_rfc3339

RATIO = 3.0
"""A burst has more than this many times the expected number of votes."""

# Bins before and after one; the least votes of a burst; the largest table of bins and models.
_AROUND = {HOUR: 84, DAY: 14}
_LEAST = 10
_MOST_CELLS = 20_000_000
_NAMES = {HOUR: "hour", DAY: "day"}


@dataclass(frozen=True)
class _Bins:
    """Counts of votes in bins of time.

    Attributes:
        width: width of a bin in microseconds.
        start: int64[B], the start of each bin with votes, in microseconds since 1970 UTC; 0 for bins without votes.
        votes: int64[B], number of votes in each bin.
        shown: int64[B, K], number of votes on each model in each bin.
    """

    width: int
    start: Int64
    votes: Int64
    shown: Int64


def share_bursts(votes: ReportVotes) -> EvidenceSection:
    """Test for bursts of votes on one model in an hour or a day, and return the section about them."""
    assert votes.time is not None  # noqa: S101  # the caller has checked it
    rows = np.flatnonzero(votes.time != NO_TIME)
    time = votes.time[rows]
    span = int(time.max() - time.min())
    if span < 2 * DAY:
        return SHARE_BURST.unanswered("the votes span less than two days")
    both = votes.model_a[rows], votes.model_b[rows]
    found, tests = [], 0
    counted = [_count(time, both, len(votes.models), width) for width in _AROUND if span >= 4 * width]
    tables = [table for table in counted if table is not None]
    if not tables:
        return SHARE_BURST.unanswered("the votes are on too many models in too many hours and days")
    for table in tables:
        tests += int((table.shown > 0).sum())
    for table in tables:
        found += _bursts(table, votes.models, tests)
    found = _without_hours_of_days(found)
    within = " or ".join(f"{'an' if table.width == HOUR else 'a'} {_NAMES[table.width]}" for table in tables)
    return SHARE_BURST.answered(found, f"No model gets a burst of votes within {within}.", tests=tests)


def _without_hours_of_days(found: list[EvidenceFinding]) -> list[EvidenceFinding]:
    """Leave out each finding about an hour if there is a finding about the same model on the same day."""
    days = {(one.subject, one.details["begins"][:10]) for one in found if one.details["width"] == _NAMES[DAY]}
    return [
        one
        for one in found
        if one.details["width"] == _NAMES[DAY] or (one.subject, one.details["begins"][:10]) not in days
    ]


def _count(time: Int64, both: tuple[Int32, Int32], models: int, width: int) -> _Bins | None:
    """Count the votes of each bin; None if the table would be too large.

    A long time without votes has many empty bins. The table contains only some of them: as many as are needed to
    compute the share around a bin. So one wrong time in a file does not make the table large.

    Args:
        time: int64[n], time of each vote in microseconds since 1970 UTC.
        both: int64[2, n], codes of the two models of each vote.
        models: number of models.
        width: width of a bin in microseconds.
    """
    used = np.unique(np.concatenate([np.unique(time[piece] // width) for piece in pieces(len(time))]))
    row = np.cumsum(np.minimum(np.diff(used, prepend=used[0]), _AROUND[width] + 1))
    bins = int(row[-1]) + 1
    if bins * models > _MOST_CELLS:
        return None
    start = np.zeros(bins, dtype=np.int64)
    start[row] = used * width
    shown, votes = np.zeros(bins * models, dtype=np.int64), np.zeros(bins, dtype=np.int64)
    for piece in pieces(len(time)):
        place = row[np.searchsorted(used, time[piece] // width)]
        votes += np.bincount(place, minlength=bins)
        for side in both:
            cells, count = np.unique(place * models + side[piece], return_counts=True)
            shown[cells] += count
    return _Bins(width, start, votes, shown.reshape(bins, models))


def _bursts(table: _Bins, models: tuple[str, ...], tests: int) -> list[EvidenceFinding]:
    share, around = _shares_around(table)
    n = table.votes[:, None]
    high = np.minimum(share + 2 * np.sqrt(share * (1 - share) / np.maximum(around, 1)), 1.0)
    tested = (table.shown > 0) & (around > 0) & (share > 0)
    spread = _spread(table.shown, n * share, share, tested)
    mean = n * high
    large = tested & (table.shown >= _LEAST) & (table.shown > RATIO * mean)
    bins, model = np.nonzero(large)
    p = _tail(table.shown[large], mean[large], spread) * tests
    kept = np.flatnonzero(p < TEST_ALPHA)
    return [
        _finding(table, models, int(bins[k]), int(model[k]), float(share[bins[k], model[k]]), float(p[k])) for k in kept
    ]


def _shares_around(table: _Bins) -> tuple[Float64, Int64]:
    """Return two arrays [B, K]: each model's share of the votes around each bin, and the number of these votes.

    Only bins from the model's first vote to its last are included. The bin itself is left out.
    """
    reach, bins = _AROUND[table.width], len(table.votes)
    shown = table.shown > 0
    live = (np.cumsum(shown, axis=0) > 0) & (np.cumsum(shown[::-1], axis=0)[::-1] > 0)
    first = np.maximum(np.arange(bins) - reach, 0)
    end = np.minimum(np.arange(bins) + reach + 1, bins)

    def around(values: Int64) -> Int64:
        whole = np.concatenate([np.zeros((1, values.shape[1]), dtype=np.int64), np.cumsum(values, axis=0)])
        return np.asarray(whole[end] - whole[first] - values)

    votes = around(table.votes[:, None] * live)
    return around(table.shown) / np.maximum(votes, 1), votes


def _spread(shown: Int64, mean: Float64, share: Float64, tested: Bool) -> float:
    """Return φ: the mean squared deviation of counts from their mean, in units of a binomial variance, at least 1.

    Args:
        shown: int64[B, K], votes on each model in each bin.
        mean: float64[B, K], the expected number of these votes.
        share: float64[B, K], each model's share of the votes around the bin.
        tested: bool[B, K], the counts that are tested. Of these, only counts with an expected number of 1 or more are
            used.
    """
    told = tested & (mean >= 1)
    if not told.any():
        return 1.0
    squared = (shown[told] - mean[told]) ** 2 / (mean[told] * np.maximum(1 - share[told], 1e-3))
    return max(float(np.minimum(squared, np.quantile(squared, 0.99)).mean()), 1.0)


def _tail(x: Int64, mean: Float64, spread: float) -> Float64:
    """Return P(X ≥ x) for X with the mean `mean` and the variance `spread` · `mean`."""
    if spread <= 1.0 + 1e-9:
        return np.asarray(pdtrc(x - 1, mean))
    # scipy's function of this distribution takes whole numbers only.
    return np.asarray(betainc(x, mean / (spread - 1), 1 - 1 / spread))


def _finding(table: _Bins, models: tuple[str, ...], at: int, model: int, share: float, p: float) -> EvidenceFinding:
    time = format_rfc3339(int(table.start[at]))
    when = time[:10] if table.width == DAY else f"{time[:10]} {time[11:16]} UTC"
    shown, votes = int(table.shown[at, model]), int(table.votes[at])
    return EvidenceFinding(
        kind="model", subject=models[model], direction=f"burst in the {_NAMES[table.width]} of {when}",
        odds=1 / max(p, 1e-300), votes=shown,
        sentence=f"{models[model]} is in {shown:,} of the {votes:,} votes in the {_NAMES[table.width]} of {when}, "
        f"{shown / votes:.0%}; around it is in {share:.1%}. Either voters came for it, or the board showed it more.",
        details={
            "begins": time, "width": _NAMES[table.width], "votes": votes, "share": shown / votes, "share_around": share,
            "p_value": p,
        },
    )  # fmt: skip
