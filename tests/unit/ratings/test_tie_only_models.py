"""A model that only tied has an interval, on every road to one; the others keep theirs."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.ratings import PairCounts, compute_leaderboard, fit
from pipeline.ratings.intervals import POINTS_PER_LOGIT
from pipeline.ratings.tie_only_models import with_tie_only_variance
from tests.command import called

Z = 1.959963984540054

TIES = [("ant", "bee", "tie")]
MORE_TIES = [("ant", "bee", "tie"), ("bee", "cat", "both_bad"), ("cat", "ant", "tie"), ("ant", "bee", "tie")]
# cat only tied, with models of different strength.
MIXED = [("ant", "bee", w) for w in ["model_a"] * 7 + ["model_b"] * 3] + [("cat", "ant", "tie"), ("cat", "bee", "tie")]


def counts_of(votes: list[tuple[str, str, str]]) -> PairCounts:
    return PairCounts.from_labels(*(list(column) for column in zip(*votes, strict=True)))


def test_one_tie_has_the_standard_error_of_one_vote() -> None:
    board = compute_leaderboard(counts_of(TIES))
    # One vote of p = 1/2 has the information 1/4, so each of two strengths with mean zero has the variance 1.
    assert board.se == pytest.approx([POINTS_PER_LOGIT, POINTS_PER_LOGIT])
    assert board.upper - board.lower == pytest.approx(2 * Z * board.se)
    assert compute_leaderboard(counts_of(TIES), tie_only=False).se == pytest.approx([0.0, 0.0])


def test_more_ties_are_more_information() -> None:
    one, many = compute_leaderboard(counts_of(MORE_TIES)), compute_leaderboard(counts_of(MORE_TIES * 25))
    assert (one.se > 100).all()
    assert many.se == pytest.approx(one.se / 5)


def test_a_model_with_a_decisive_vote_keeps_its_votes_own_variance() -> None:
    counts = counts_of(MIXED[:10])
    fitted = fit(counts)
    assert with_tie_only_variance(fitted, counts) is fitted
    mixed = counts_of(MIXED)
    widened = compute_leaderboard(mixed)
    before = compute_leaderboard(mixed, tie_only=False)
    cat = widened.models.index("cat")
    assert before.se[cat] < widened.se[cat] / 2
    # Two ties are worth some two votes: at least the error of two votes against known opponents.
    assert widened.se[cat] > POINTS_PER_LOGIT * np.sqrt(1 / (2 * 0.25)) * 0.6


@pytest.mark.parametrize("options", [(), ("--by-voter",), ("--bootstrap", "20"), ("--reweight", "5"), ("--style",)])
@pytest.mark.parametrize("votes", [TIES, MORE_TIES], ids=["one tie", "ties alone"])
def test_no_road_of_rate_gives_an_interval_of_width_0(
    tmp_path: Path, votes: list[tuple[str, str, str]], options: tuple[str, ...]
) -> None:
    path = tmp_path / "votes.jsonl"
    rows = [
        {"model_a": a, "model_b": b, "winner": w, "voter_id": f"u{n}",
         "tokens_a": 100 + 7 * n, "tokens_b": 120 + n * n}
        for n, (a, b, w) in enumerate(votes * 2)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = called("rate", str(path), "--json", *options, settings={})
    if "--style" in options and done.returncode:
        assert "style feature" in done.stdout + done.stderr  # a few votes determine no feature
        return
    found = json.loads(done.stdout)["rows"]
    assert len(found) == len({name for a, b, _ in votes for name in (a, b)})
    assert all(row["upper"] - row["lower"] > 50 and row["se"] > 10 for row in found)
