"""`rate_battles` on the small golden table: every option against what statsmodels makes of the same votes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.errors import BadCounts
from pipeline.ratings import POINTS_PER_LOGIT, battle_columns, fit, with_clustered_covariance
from pipeline.ratings.battle_columns import BattleColumns
from pipeline.ratings.battle_ratings import RatingOptions, rate_battles
from pipeline.ratings.intervals import few_voters_widening
from pipeline.ratings.style_features import STYLE_FEATURES


class Display:
    """A progress display that keeps what it was told."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}

    @contextmanager
    def __call__(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        self.totals[what], self.done[what] = total, 0

        def step(units: int) -> None:
            self.done[what] += units

        yield step


def columns(small: SimpleNamespace, without_style: tuple[int, ...] = ()) -> BattleColumns:
    """The golden votes; bold and emoji are alike on both sides of every vote; some votes have no style counts."""
    style = []
    for side in ("a", "b"):
        given = np.stack([*small.style[side], np.full(len(small.a), 2), np.zeros(len(small.a), dtype=np.int64)], axis=1)
        given[list(without_style)] = -1
        style.append(given)
    voters = tuple(f"v{k}" for k in range(int(small.voter.max()) + 1))
    language = (np.arange(len(small.a)) % 3 - 1).astype(np.int32)
    return BattleColumns(
        small.models, small.a, small.b, small.outcome, voters, small.voter,
        MappingProxyType({"language": (("de", "en"), language)}), (style[0], style[1]),
    )  # fmt: skip


def rated(battles: BattleColumns, **options: Any) -> tuple[Any, Display]:
    display = Display()
    return rate_battles(battles, RatingOptions(**options), display), display


def points(board: Any) -> dict[str, float]:
    return dict(zip(board.models, board.rating.tolist(), strict=True))


def test_plain_ratings_and_errors_are_statsmodels(small: SimpleNamespace) -> None:
    found, display = rated(columns(small))
    assert display.totals == {}
    assert (found.votes, found.without_style, found.constant) == (900, 0, ())
    expected = dict(zip(small.models, small.expected["theta"], strict=True))
    assert points(found.board) == {
        name: pytest.approx(1000 + theta * POINTS_PER_LOGIT, abs=0.006) for name, theta in expected.items()
    }
    order = [small.models.index(name) for name in found.board.models]
    se = np.array(small.expected["se"])[order] * POINTS_PER_LOGIT
    assert found.board.se == pytest.approx(se, abs=0.006)
    assert found.board.lower == pytest.approx(found.board.rating - 1.959964 * se, abs=0.02)
    assert found.board.votes.tolist() == small.counts.battles_per_model()[order].tolist()
    assert found.board.joint is not None


def test_errors_by_voter_are_the_clustered_ones(small: SimpleNamespace) -> None:
    many = replace(columns(small), voters=tuple(f"v{k}" for k in range(60)), voter=np.arange(900) % 60)
    found, _ = rated(many, by_voter=True, level=0.9)
    order = [small.models.index(name) for name in found.board.models]
    clustered = with_clustered_covariance(fit(small.counts), *many.codes, many.voter)
    se = np.sqrt(np.diag(clustered.covariance))[order] * POINTS_PER_LOGIT
    assert found.board.se == pytest.approx(se, abs=0.006)
    assert found.board.upper - found.board.rating == pytest.approx(1.644854 * se, abs=0.02)


def test_errors_by_few_voters_are_between_the_widened_clustered_ones_and_the_sum_of_both(
    small: SimpleNamespace,
) -> None:
    found, _ = rated(columns(small), by_voter=True)
    assert found.effective_voters < 10
    order = [small.models.index(name) for name in found.board.models]
    plain, clustered = (np.array(small.expected[name])[order] * POINTS_PER_LOGIT for name in ("se", "clustered_se"))
    widened = clustered * few_voters_widening(found.effective_voters)
    assert (found.board.se >= np.maximum(widened, plain) - 0.006).all()
    assert (found.board.se <= np.hypot(widened, plain)).all()


@pytest.mark.parametrize(("voters", "clustered"), [(1, False), (9, True), (10, True)])
@pytest.mark.parametrize("style", [False, True])
def test_intervals_of_few_voters_are_no_narrower_than_those_of_independent_votes(
    small: SimpleNamespace, voters: int, clustered: bool, style: bool
) -> None:
    few = replace(columns(small), voters=tuple(f"v{k}" for k in range(voters)), voter=np.arange(900) % voters)
    found, plain = (rated(few, by_voter=by_voter, style=style)[0] for by_voter in (True, False))
    assert (found.effective_voters, found.clustered) == (pytest.approx(voters), clustered)
    assert (plain.effective_voters, plain.clustered) == (None, False)
    assert (found.board.se.tolist() != plain.board.se.tolist()) == clustered
    if voters < 10:
        assert (found.board.se >= plain.board.se - 0.006).all()


def test_style_is_controlled_for_with_the_features_that_vary(small: SimpleNamespace) -> None:
    found, display = rated(columns(small), style=True)
    expected = small.expected["style"]
    assert (display.totals, display.done) == ({"style": 1}, {"style": 1})
    assert (found.votes, found.without_style, found.constant) == (900, 0, ("bold", "emoji"))
    assert found.style.features == STYLE_FEATURES[:3]
    assert found.style.coefficients == pytest.approx(expected["coefficients"], abs=1e-5)
    assert points(found.board) == {
        name: pytest.approx(1000 + theta * POINTS_PER_LOGIT, abs=0.006)
        for name, theta in zip(small.models, expected["theta"], strict=True)
    }


def test_votes_without_style_counts_are_left_out_and_counted(small: SimpleNamespace) -> None:
    found, _ = rated(columns(small, without_style=(3, 4, 899)), style=True)
    assert (found.votes, found.without_style) == (897, 3)
    assert found.board.votes.sum() == 2 * 897


def test_style_needs_counts_and_a_feature_that_varies(small: SimpleNamespace) -> None:
    with pytest.raises(BadCounts, match="expected votes with style counts"):
        rated(columns(small, without_style=tuple(range(900))), style=True)
    battles = columns(small)
    same = BattleColumns(
        battles.models, battles.a, battles.b, battles.outcome, battles.voters, battles.voter, battles.groups,
        (battles.style[0], battles.style[0]),
    )  # fmt: skip
    with pytest.raises(BadCounts, match="expected a style feature that varies"):
        rated(same, style=True)


def test_bootstrap_errors_and_intervals_are_those_of_the_rounds(small: SimpleNamespace) -> None:
    found, display = rated(columns(small), bootstrap=60, seed=4, level=0.8)
    assert (display.totals, display.done) == ({"bootstrap": 60}, {"bootstrap": 60})
    drawn = 1000 + found.resampled.theta * POINTS_PER_LOGIT
    for place, name in enumerate(found.board.models):
        mine = drawn[:, small.models.index(name)]
        assert found.board.se[place] == pytest.approx(mine.std(ddof=1), abs=0.006)
        assert found.board.lower[place] == pytest.approx(np.quantile(mine, 0.1), abs=0.006)
        assert found.board.upper[place] == pytest.approx(np.quantile(mine, 0.9), abs=0.006)
    plain, _ = rated(columns(small))
    assert found.board.rating.tolist() == plain.board.rating.tolist()


def test_groups_are_boards_of_their_own_votes(small: SimpleNamespace) -> None:
    found, _ = rated(columns(small), group="language", anchor=("ant", 1100.0))
    assert [(one.label, one.votes) for one in found.groups] == [("de", 300), ("en", 300)]
    for one in found.groups:
        assert one.board.rating[one.board.models.index("ant")] == 1100.0
        assert one.board.rating.tolist() == np.round(one.board.rating, 2).tolist()
    assert found.board.rating[found.board.models.index("ant")] == 1100.0


def test_the_most_influential_voters_have_their_names(small: SimpleNamespace) -> None:
    found, _ = rated(columns(small), influence=3)
    assert len(found.voters) == 3
    assert all(name == f"v{one.voter}" for name, one in found.voters)
    sizes = [abs(one.points) for _, one in found.voters]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("options", [{"by_voter": True}, {"influence": 1}])
def test_what_is_by_voter_needs_voters(small: SimpleNamespace, options: dict[str, Any]) -> None:
    battles = columns(small)
    nobody = BattleColumns(
        battles.models, battles.a, battles.b, battles.outcome, (), np.full(900, -1), battles.groups, battles.style
    )
    with pytest.raises(BadCounts, match="expected votes with voters"):
        rated(nobody, **options)


def test_pairs_with_many_votes_can_weigh_less(small: SimpleNamespace) -> None:
    plain, _ = rated(columns(small))
    even, _ = rated(columns(small), reweight=1)
    assert plain.board.rating.tolist() != even.board.rating.tolist()
    heavy, _ = rated(columns(small), reweight=10_000)  # every pair has fewer: all weigh alike
    assert heavy.board.rating.tolist() == plain.board.rating.tolist()


def test_selected_votes_keep_the_style_of_both_answers(small: SimpleNamespace) -> None:
    battles = columns(small)
    rows = np.arange(900) % 3 == 0
    kept = battles.select(rows)
    assert not np.array_equal(battles.style[0], battles.style[1])
    assert np.array_equal(kept.style[0], battles.style[0][rows])
    assert np.array_equal(kept.style[1], battles.style[1][rows])


def test_an_answer_without_a_token_has_style_counts(small: SimpleNamespace) -> None:
    battles = columns(small, without_style=(5,))
    battles.style[0][3], battles.style[1][4] = 0, 0
    assert np.flatnonzero(~battles.has_style).tolist() == [5]


def test_a_repeat_that_differs_in_one_field_is_conflicting(small: SimpleNamespace) -> None:
    battles = columns(small)
    same = {name: getattr(battles, name).copy() for name in ("a", "b", "voter", "outcome")}
    for values in same.values():
        values[1:3] = values[0]
    same["outcome"][:3] = [0, 1, 0]
    identity = np.arange(900)
    identity[:3] = 0
    found = replace(battles, **same).without_repeats(identity)
    assert (len(found), found.repeated, found.conflicting) == (898, 2, 1)


def test_columns_that_a_rating_does_not_need_take_no_memory_and_change_nothing(small: SimpleNamespace) -> None:
    battles = columns(small)
    plain = battles.narrowed(voters=False, style=False, group="")
    options = RatingOptions(fragility=2)
    expected, found = (rate_battles(one, options, Display()) for one in (battles, plain))
    assert found.board.rating.tolist() == expected.board.rating.tolist()
    assert [one and one.votes for one in found.swaps] == [one and one.votes for one in expected.swaps]
    constant = (plain.voter, *plain.style, *(codes for _, codes in plain.groups.values()))
    assert all(not any(column.strides) for column in constant)
    half = np.arange(len(plain)) % 2 == 0
    assert not any(plain.select(half).voter.strides)
    with pytest.raises(BadCounts, match="expected votes with voters"):
        rate_battles(plain, RatingOptions(by_voter=True), Display())
    kept = battles.narrowed(voters=True, style=True, group="language")
    assert kept.voter is battles.voter
    assert (kept.style, kept.groups["language"]) == (battles.style, battles.groups["language"])


def test_pair_counts_in_pieces_are_those_of_all_votes(small: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    battles = columns(small)
    whole = battles.pair_counts()
    monkeypatch.setattr(battle_columns, "_PIECE", 7)
    pieces = battles.pair_counts()
    assert pieces.models == whole.models
    assert np.array_equal(pieces.table(), whole.table())
    assert battles.select(np.zeros(len(battles), dtype=np.bool_)).pair_counts().total == 0
