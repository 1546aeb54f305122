"""Checks that the boards in a manifest follow from the votes.

Counts are compared exactly, by a digest over integers. A published rating may differ from the recomputed rating by half
of its last digit. A small allowance is added, because machines differ in floating-point arithmetic. A rank is accepted
if some ratings within this tolerance give this rank.
"""

import re
from collections.abc import Collection, Mapping
from math import isfinite

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import rfc8785

from ..errors import RatingError, Refuted
from ..ratings.leaderboard import Leaderboard, compute_leaderboard
from ..ratings.pair_counts import PairCounts
from ..ratings.rated_models import PUBLISHED_SHARE, UnratedModel, explain_unregistered, select_rated_models
from . import canonical_json
from .canonical_json import Digest
from .manifest import BoardRow, Configuration, JsonScalar, PublishedView, sha256_hex

# Points; half of the last published digit.
_ROUNDING = 0.005
# Points; the BLAS of two machines differ by 1e-9 on the real board.
_SLACK = 1e-6
# Largest gradient per battle: a hundred times the tolerance of the fit.
_GRADIENT = 1e-8

_EARLIER_WORDING = re.compile(r"^None of its (\d+ votes?) is a battle with a rated model\.$")


def counts_digest(counts: PairCounts) -> Digest:
    """Return the digest of pair counts, by which exact equality is checked.

    The digest is the SHA-256 of [[model, model, wins, losses, ties, both bad], …] as canonical JSON. The two models of
    a row are sorted by name, and the rows by their models.
    """
    names = [rfc8785.dumps(name).decode() for name in counts.models]
    place = np.empty(len(names), dtype=np.int64)
    place[sorted(range(len(names)), key=counts.models.__getitem__)] = np.arange(len(names))
    forth = place[counts.a] < place[counts.b]
    first, second = np.where(forth, counts.a, counts.b), np.where(forth, counts.b, counts.a)
    won, lost = np.where(forth, counts.wins_a, counts.wins_b), np.where(forth, counts.wins_b, counts.wins_a)
    order = np.lexsort((place[second], place[first]))
    # Joined as text in columns: a general writer of canonical JSON takes as long as the fit.
    texts = pa.array(names, pa.string())
    models = [texts.take(pa.array(column[order])) for column in (first, second)]
    numbers = [pa.array(column[order]).cast(pa.string()) for column in (won, lost, counts.ties, counts.both_bad)]
    rows = pc.binary_join_element_wise(*models, *numbers, ",").to_pylist()
    return sha256_hex(f"[[{'],['.join(rows)}]]".encode() if rows else b"[]")


def with_digest(values: Mapping[str, JsonScalar]) -> Configuration:
    """Build a `Configuration` from settings: add the SHA-256 of their canonical JSON."""
    return Configuration(sha256_hex(canonical_json.dump(dict(values))), dict(values))


def check_configuration(found: Configuration, where: str) -> None:
    """Check the published settings: their digest, and the settings `least_share` and `anchor`, which ratings need.

    Args:
        found: the published settings.
        where: place of the settings, for messages.

    Raises:
        Refuted: reason `configuration`: the digest is wrong, or one of these settings is not valid.
    """
    expected = with_digest(found.values).sha256
    if found.sha256 != expected:
        raise Refuted("configuration", where, f"expected digest {expected}, got {found.sha256}")
    share = found.values.get("least_share")
    if type(share) not in (int, float) or not isinstance(found.values.get("anchor"), str):
        raise Refuted("configuration", where, "expected a number `least_share` and a text `anchor`")
    try:
        _anchor(found)
    except ValueError:
        raise Refuted("configuration", where, f"expected MODEL=POINTS, got {found.values['anchor']!r}") from None


def recompute_leaderboard(counts: PairCounts, settings: Configuration, *, tie_only: bool = True) -> Leaderboard:
    """Compute the leaderboard of a view again under published settings, without rounding.

    Args:
        counts: the pair counts of the view.
        settings: the published settings.
        tie_only: whether a model whose votes are all ties gets the wider standard error; False for manifests of earlier
            versions.

    Raises:
        RatingError: the votes have no estimate.
    """
    anchor, share = rating_options(counts, settings)
    return compute_leaderboard(counts, anchor=anchor, least_share=share, tie_only=tie_only)


def rating_options(counts: PairCounts, settings: Configuration) -> tuple[tuple[str, float] | None, float]:
    """Return the anchor and the smallest share of votes with which a view is rated under published settings.

    Returns:
        Two values. The first is the anchor: a model and the points that its rating is shifted to. It is None if no
        anchor is set, or if the model is not rated. The second is the smallest share of the votes, from 0 to 1, that
        the rated models must have.

    Raises:
        RatingError: the largest connected component has too few of the votes.
    """
    share = min(float(settings.values["least_share"] or 0), PUBLISHED_SHARE)
    anchor = _anchor(settings)
    if anchor is not None and anchor[0] not in select_rated_models(counts, least_share=share)[0].models:
        anchor = None
    return anchor, share


def check_view(
    published: PublishedView,
    counts: PairCounts,
    settings: Configuration,
    where: str,
    unregistered: Collection[str] = (),
    *,
    tie_only: bool = True,
) -> None:
    """Check that the counts, ratings and ranks of a published view follow from the votes.

    Args:
        published: the view as the manifest states it.
        counts: pair counts of the leaves that count in the view.
        settings: the settings as the manifest states them.
        where: name of the view, for messages.
        unregistered: models that are not in the registry, on which no vote counts yet.
        tie_only: whether a model whose votes are all ties gets the wider standard error; False for manifests of earlier
            versions.

    Raises:
        Refuted: the reason is the part of the view that is wrong: `counts`, `gradient`, `unrated`, `rows`, `rating`,
            `rank` or `rated`. The message names the model.
    """
    battles = dict(zip(counts.models, counts.battles_per_model().tolist(), strict=True))
    waiting = {name: battles.get(name, 0) for name in unregistered}
    counts = counts.without_models(waiting)
    found = counts_digest(counts)
    if published.votes != counts.total or published.counts_sha256 != found:
        raise Refuted(
            "counts",
            where,
            f"published are {published.votes} votes, {published.counts_sha256}, the log gives {counts.total}, {found}",
        )
    try:
        again = recompute_leaderboard(counts, settings, tie_only=tie_only)
    except RatingError as error:
        raise Refuted("rated", where, f"the votes have no estimate: {error}") from None
    limit = _GRADIENT * max(1, int(counts.battles_per_model().max(initial=1)))
    if not (isfinite(published.gradient_norm) and 0 <= published.gradient_norm <= limit):
        raise Refuted(
            "gradient", where, f"expected a gradient of at most {limit:g} votes, got {published.gradient_norm:g}"
        )
    unrated = tuple(sorted(explain_unregistered(again.unrated, waiting), key=lambda one: one.model))
    if tuple(UnratedModel(one.model, _current_wording(one.reason)) for one in published.unrated) != unrated:
        raise Refuted(
            "unrated", where, f"expected {len(unrated)} unrated models with their reasons, got {len(published.unrated)}"
        )
    _check_rows(published.rows, again, where)


def _current_wording(reason: str) -> str:
    """Return a reason in today's wording; bundles before December 2026 say "None of its 3 votes is a battle …"."""
    return _EARLIER_WORDING.sub(r"Not rated: it never met a rated model (\1).", reason)


def _check_rows(rows: tuple[BoardRow, ...], again: Leaderboard, where: str) -> None:
    names = [row.model for row in rows]
    if sorted(names) != sorted(again.models):
        wrong = sorted(set(names) ^ set(again.models)) or sorted({name for name in names if names.count(name) > 1})
        raise Refuted(
            "rows", where, f"expected {len(again.models)} rated models, each once, got {len(names)}: {wrong[0]}"
        )
    place = {model: at for at, model in enumerate(again.models)}
    for row in rows:
        at = place[row.model]
        for name in ("rating", "lower", "upper"):
            expected, got = float(getattr(again, name)[at]), getattr(row, name)
            if not abs(expected - got) <= _ROUNDING + _SLACK:
                raise Refuted(
                    "rating", f"{where}, {row.model}", f"the votes give {name} {expected:.4f}, published is {got}"
                )
            if round(got, 2) != got:
                raise Refuted("rating", f"{where}, {row.model}", f"expected {name} rounded to 0.01, got {got}")
        if row.votes != int(again.votes[at]):
            raise Refuted(
                "counts", f"{where}, {row.model}", f"the log gives {again.votes[at]} votes, published are {row.votes}"
            )
        _check_ranks(row, again, at, f"{where}, {row.model}")
    if [row.rank for row in rows] != sorted(row.rank for row in rows):
        raise Refuted("rows", where, "expected the rows sorted by rank")


def _check_ranks(row: BoardRow, again: Leaderboard, at: int, where: str) -> None:
    others = np.arange(len(again.models)) != at
    rating, lower, upper = again.rating[at], again.lower[at], again.upper[at]
    # A rank is 1 + the number of other models with a positive gap.
    gaps = {
        "rank": again.rating - rating,
        "rank_best": again.lower - upper,
        "rank_worst": again.upper - lower,
    }
    for name, gap in gaps.items():
        least, most = (1 + int((gap[others] > slack).sum()) for slack in (_SLACK, -_SLACK))
        if not least <= getattr(row, name) <= most:
            raise Refuted("rank", where, f"the votes give {name} {least}, published is {getattr(row, name)}")


def _anchor(settings: Configuration) -> tuple[str, float] | None:
    text = str(settings.values["anchor"])
    if not text:
        return None
    model, _, points = text.rpartition("=")
    if not model or not isfinite(float(points)):
        raise ValueError(text)
    return model, float(points)
