"""Measures how evenly the battles are spread over the models.

The figure is the Gini coefficient of the battles per model: 0 if all models have the same number, near 1 if one model
has nearly all (Gini 1912). Its interval comes from Poisson draws of the votes of each pair. The probe fires if the
figure is above 0.5, or if at least one model in ten has fewer than 30 battles: these models have a rating, but their
place on the board says little.
"""

from __future__ import annotations

import numpy as np

from pipeline.audits.shares import gini
from pipeline.report.probe_result import ProbeOptions, ProbeResult
from pipeline.report.probes.probe import Probe
from pipeline.report.report_board import ReportBoard
from pipeline.report.report_votes import ReportVotes

_ID, _TITLE, _UNIT = "coverage", "Coverage of models and pairs", "Gini coefficient of battles per model"
_THRESHOLD = 0.5
_THIN, _THIN_SHARE = 30, 0.1
_DRAWS = 200


def _run(_: ReportVotes, board: ReportBoard, options: ProbeOptions) -> ProbeResult:
    counts = board.counts
    battles, size = counts.battles_per_model(), len(counts.models)
    possible, met = size * (size - 1) // 2, len(counts.a)
    thin = [counts.models[k] for k in np.flatnonzero(battles < _THIN).tolist()]
    figure = gini(battles.tolist())
    many_thin = len(thin) >= _THIN_SHARE * size
    few, most = int(battles.min()), int(battles.max())
    per_model = f"Each model has {most:,} battles" if few == most else f"Models have {few:,} to {most:,} battles each"
    sentence = f"{per_model}; {met:,} of {possible:,} pairs of models met."
    if len(thin) == size:
        sentence += f" All have fewer than {_THIN} battles."
    elif thin:
        sentence += f" {len(thin):,} model{'s have' if len(thin) > 1 else ' has'} fewer than {_THIN} battles."
    return ProbeResult(
        id=_ID, title=_TITLE, figure=figure, unit=_UNIT, interval=_interval(board, options), threshold=_THRESHOLD,
        fired=figure > _THRESHOLD or many_thin, sentence=sentence,
        details={
            "gini": figure, "fewest_battles": few, "most_battles": most, "median_battles": float(np.median(battles)),
            "pairs_met": met, "pairs_possible": possible, "thin_models": thin, "thin_below": _THIN,
        },
    )  # fmt: skip


def _interval(board: ReportBoard, options: ProbeOptions) -> tuple[float, float]:
    counts, rng = board.counts, np.random.default_rng(options.seed)
    drawn = rng.poisson(counts.table().sum(axis=1), (_DRAWS, len(counts.a))).astype(np.float64)
    size = len(counts.models)
    found = []
    for votes in drawn:
        battles = np.bincount(counts.a, votes, size) + np.bincount(counts.b, votes, size)
        if battles.any():
            found.append(gini(battles.tolist()))
    low, high = np.quantile(found, [(1 - options.level) / 2, (1 + options.level) / 2]).tolist()
    return low, high


COVERAGE = Probe(_ID, _TITLE, _UNIT, _run)
"""The probe that measures how evenly the battles are spread over the models."""
