"""Simulates the scenario S17: a provider tests a chat-tuned variant on a board, and releases another model.

Forty models are about four points apart, like the first forty models of the real board. Voters prefer long answers: one
standard deviation of the length contrast adds a quarter of a logit, which is the published coefficient. The variant is
as strong as the model of rank 5 and writes longer answers. The released model is as strong as the model of about rank
32 and writes answers of usual length.
"""

import numpy as np

from pipeline.audits.version_mismatch import ModelVersion, StyleStatistics
from pipeline.ratings import Fit, PairCounts, fit, fit_style, style_contrast
from pipeline.ratings.intervals import POINTS_PER_LOGIT
from pipeline.ratings.winners_curse import selection_gain
from pipeline.vocabulary.arrays import Int64

_MODELS, _APART, _VOTES = 40, 4.3, 200_000
_TESTED, _RELEASED, _VARIANTS = 5, 31, 27
_LENGTH, _LONG, _SPREAD = 400.0, 500.0, 0.4
_LIKING, _TIES = 0.249, 0.2


def simulate_tuned_variant(seed: int) -> tuple[ModelVersion, ModelVersion, float]:
    """Simulate the votes of the scenario, and rate the models.

    Returns:
        Three values. The first two are the tested and the released version, with the figures that a sweep compares. The
        third is the expected winner's curse of the best of 27 variants, in points.
    """
    rng = np.random.default_rng(seed)
    theta = -_APART * np.arange(_MODELS) / POINTS_PER_LOGIT
    mean = np.full(_MODELS, _LENGTH)
    mean[_TESTED] = _LONG
    first, second = _pairs(rng)
    tokens = [np.maximum(rng.normal(mean[side], _SPREAD * mean[side]), 20).astype(np.int64) for side in (first, second)]
    z = style_contrast([tokens[0]], [tokens[1]], ("tokens",))
    gap = theta[first] - theta[second] + _LIKING * z[:, 0] / np.sqrt((z**2).mean())
    won = rng.random(_VOTES) < 1 / (1 + np.exp(-gap))
    outcome = np.where(rng.random(_VOTES) < _TIES, 2, np.where(won, 0, 1))
    names = tuple(f"m{i:02}" for i in range(_MODELS))
    plain = fit(PairCounts.from_codes(names, first, second, outcome))
    controlled = fit_style(names, first, second, outcome, z, features=("tokens",)).ratings
    versions = [
        _version(k, digest, plain, controlled, np.concatenate([tokens[0][first == k], tokens[1][second == k]]))
        for k, digest in ((_TESTED, "tested"), (_RELEASED, "released"))
    ]
    return versions[0], versions[1], selection_gain(_VARIANTS, versions[0].se or 0.0, 0.0).curse


def _pairs(rng: np.random.Generator) -> tuple[Int64, Int64]:
    first = rng.integers(0, _MODELS, _VOTES)
    return first, (first + rng.integers(1, _MODELS, _VOTES)) % _MODELS


def _version(k: int, digest: str, plain: Fit, controlled: Fit, tokens: Int64) -> ModelVersion:
    rating = 1000 + plain.theta[k] * POINTS_PER_LOGIT
    se = float(np.sqrt(plain.covariance[k, k])) * POINTS_PER_LOGIT
    rank, style_rank = (1 + int((one.theta > one.theta[k]).sum()) for one in (plain, controlled))
    style = StyleStatistics(float(tokens.mean()), float(tokens.std(ddof=1)), len(tokens))
    return ModelVersion(f"m{k:02}", float(rating), se, rank, style_rank, digest, {"tokens": style})
