"""Style control: a published example, an independent golden, laws against a slow reference, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadCounts, Collinear, Disconnected, NotConverged, RatingError, Separated
from pipeline.ratings import fit, style_newton
from pipeline.ratings.style_control import fit_style, style_contrast
from pipeline.ratings.style_features import STYLE_FEATURES
from pipeline.ratings.vote_rows import _stable_order

NAMES = ("ant", "bee", "cat", "dog", "elk")

# Agresti (2002), Categorical Data Analysis, 2nd ed., table 10.10 by field: home team, away team, home and away wins.
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
HOME_AND_AWAY_WINS = {
    "Milwaukee": [(), (4, 3), (4, 2), (4, 3), (6, 1), (4, 2), (6, 0)],
    "Detroit": [(3, 3), (), (4, 2), (4, 3), (6, 0), (6, 1), (4, 3)],
    "Toronto": [(2, 5), (4, 3), (), (2, 4), (4, 3), (4, 2), (6, 0)],
    "New York": [(3, 3), (5, 1), (2, 5), (), (4, 3), (4, 2), (6, 1)],
    "Boston": [(5, 1), (2, 5), (3, 3), (4, 2), (), (5, 2), (6, 0)],
    "Cleveland": [(2, 5), (3, 3), (3, 4), (4, 3), (4, 2), (), (2, 4)],
    "Baltimore": [(2, 5), (1, 5), (1, 6), (2, 4), (1, 6), (3, 4), ()],
}
# Turner & Firth (2012), J. Stat. Software 48(9), section 3: baseballModel2, against Baltimore.
WITH_HOME = {
    "Boston": (1.1438, 0.3378),
    "Cleveland": (0.7047, 0.3350),
    "Detroit": (1.4754, 0.3446),
    "Milwaukee": (1.6196, 0.3474),
    "New York": (1.2813, 0.3404),
    "Toronto": (1.3271, 0.3403),
}


def test_baseball_with_home_advantage() -> None:
    votes = [
        (TEAMS.index(home), away, outcome)
        for home, row in HOME_AND_AWAY_WINS.items()
        for away, wins in enumerate(row)
        for outcome, times in enumerate(wins)
        for _ in range(times)
    ]
    a, b, outcome = np.array(votes).T
    found = fit_style(TEAMS, a, b, outcome, np.ones((len(votes), 1)), features=["at home"])
    assert found.coefficients[0] == pytest.approx(0.3023, abs=5.1e-5)
    base = TEAMS.index("Baltimore")
    inverse = np.linalg.pinv(found.ratings.hessian, rtol=1e-10, hermitian=True)
    for team, (estimate, error) in WITH_HOME.items():
        k = TEAMS.index(team)
        assert found.ratings.theta[k] - found.ratings.theta[base] == pytest.approx(estimate, abs=5.1e-5)
        variance = inverse[k, k] + inverse[base, base] - 2 * inverse[k, base]
        assert math.sqrt(variance) == pytest.approx(error, abs=5.1e-5)


def _small(small, **options):
    return fit_style(small.models, small.a, small.b, small.outcome, small.z, features=small.features, **options)


def test_style_equals_the_golden(small) -> None:
    found, expected = _small(small), small.expected["style"]
    assert small.models == tuple(small.expected["models"])
    assert found.ratings.theta == pytest.approx(expected["theta"], abs=1e-8)
    assert found.coefficients == pytest.approx(expected["coefficients"], abs=1e-8)
    assert found.scale == pytest.approx(expected["scale"], abs=1e-12)
    assert np.sqrt(np.diag(found.ratings.covariance)) == pytest.approx(expected["se"], abs=1e-7)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(expected["coefficient_se"], abs=1e-7)
    low, high = found.coefficient_intervals(0.95)
    assert (high - low) / 2 == pytest.approx(1.959964 * np.array(expected["coefficient_se"]), rel=1e-6)


def test_style_intervals_by_voter_equal_the_golden(small) -> None:
    found = _small(small, voter=small.voter)
    expected = small.expected["style"]["clustered_coefficient_se"]
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(expected, abs=1e-7)
    alone = _small(small, voter=np.arange(len(small.a)))
    assert alone.covariance == pytest.approx(_small(small).covariance, abs=1e-12)


def test_contrast_by_hand() -> None:
    z = style_contrast([[3, 0], [1, 1]], [[1, 0], [0, 4]], ("tokens", "bold"))
    assert z.tolist() == [[2 / 5, 1 / 2], [0.0, -3 / 6]]


@st.composite
def styled(draw: st.DrawFn):
    """Votes with an estimate: a cycle of wins among the models, ties, and two features that disagree with it."""
    size = draw(st.integers(2, len(NAMES)))
    cycle = [(i, (i + 1) % size, 0) for i in range(size)] + [((i + 1) % size, i, 0) for i in range(size)]
    models = st.integers(0, size - 1)
    more = draw(st.lists(st.tuples(models, models, st.integers(0, 3)), min_size=6, max_size=25))
    votes = np.array(cycle + [vote for vote in more if vote[0] != vote[1]], dtype=np.int64)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    z = rng.uniform(-1, 1, (len(votes), 2))
    # The same votes again with the features turned round: nothing is separated.
    return size, np.tile(votes, (2, 1)), np.concatenate([z, -z])


def _slow(size: int, votes: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Dense Newton and vote-by-vote sandwich with the last model at 0; then mean zero, unit root mean square."""
    X = np.zeros((len(votes), size))
    X[np.arange(len(votes)), votes[:, 0]] += 1
    X[np.arange(len(votes)), votes[:, 1]] -= 1
    rms = np.sqrt((z**2).mean(axis=0))
    X = np.concatenate([X[:, :-1], z / rms], axis=1)
    y = np.array([1.0, 0.0, 0.5, 0.5])[votes[:, 2]]
    beta = np.zeros(X.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-X @ beta))
        H = (X * (p * (1 - p))[:, None]).T @ X
        beta = beta + np.linalg.solve(H, X.T @ (y - p))
    scores = X * (y - p)[:, None]
    V = np.linalg.inv(H) @ scores.T @ scores @ np.linalg.inv(H)
    centre = (np.eye(size) - 1 / size)[:, :-1]
    k = size - 1
    return centre @ beta[:k], beta[k:], centre @ V[:k, :k] @ centre.T, V[k:, k:]


def _fit(size: int, votes: np.ndarray, z: np.ndarray, **options):
    return fit_style(NAMES[:size], *votes.T, z, features=("one", "two"), **options)


@settings(max_examples=60, deadline=None)
@given(styled())
def test_style_equals_the_slow_reference(case) -> None:
    theta, gamma, V, C = _slow(*case)
    found = _fit(*case)
    assert found.ratings.theta == pytest.approx(theta, abs=1e-8)
    assert found.coefficients == pytest.approx(gamma, abs=1e-8)
    assert found.ratings.covariance == pytest.approx(V, rel=1e-6, abs=1e-8)
    assert found.covariance == pytest.approx(C, rel=1e-6, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(styled(), st.randoms(use_true_random=False))
def test_order_of_votes_models_and_sides_does_not_matter(case, random) -> None:
    size, votes, z = case
    one = _fit(*case)
    order = list(range(len(votes)))
    random.shuffle(order)
    place = list(range(size))
    random.shuffle(place)
    flip = np.array([random.random() < 0.5 for _ in order])
    moved = np.array(place)[votes[order][:, :2]]
    moved = np.where(flip[:, None], moved[:, ::-1], moved)
    outcome = votes[order][:, 2]
    outcome = np.where(flip & (outcome < 2), 1 - outcome, outcome)
    other = _fit(size, np.column_stack([moved, outcome]), np.where(flip[:, None], -z[order], z[order]))
    assert other.ratings.theta[place] == pytest.approx(one.ratings.theta, abs=1e-9)
    assert other.coefficients == pytest.approx(one.coefficients, abs=1e-9)
    assert other.ratings.covariance[np.ix_(place, place)] == pytest.approx(one.ratings.covariance, rel=1e-7, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(styled(), st.integers(2, 5), st.floats(1e-3, 1e3))
def test_votes_k_times_and_features_in_other_units(case, k: int, unit: float) -> None:
    size, votes, z = case
    one = _fit(*case)
    many = _fit(size, np.tile(votes, (k, 1)), np.tile(z, (k, 1)) * unit)
    assert many.ratings.theta == pytest.approx(one.ratings.theta, abs=1e-8)
    assert many.coefficients == pytest.approx(one.coefficients, abs=1e-8)
    assert many.covariance * k == pytest.approx(one.covariance, rel=1e-6, abs=1e-8)


def test_a_feature_without_effect_keeps_the_ratings() -> None:
    votes = np.array([(0, 1, 0), (1, 0, 0), (0, 1, 2), (0, 1, 0)] * 2)
    z = np.array([[0.3], [0.3], [0.3], [-0.3]] * 2) * np.repeat([1, -1], 4)[:, None]
    found = fit_style(NAMES[:2], *votes.T, z, features=["noise"])
    assert found.coefficients[0] == pytest.approx(0, abs=1e-12)


def test_pair_weights_apply_with_style_control(small) -> None:
    # One weight for all pairs is no weight at all.
    assert _small(small, reweight=10**6).ratings.theta == pytest.approx(_small(small).ratings.theta, abs=1e-9)
    weighted = _small(small, reweight=1)
    assert not np.allclose(weighted.ratings.theta, _small(small).ratings.theta, atol=1e-3)
    assert _small(small, reweight=1, voter=np.arange(900)).covariance == pytest.approx(weighted.covariance, abs=1e-12)


def test_many_models_are_sorted_by_more_than_sixteen_bits() -> None:
    keys = np.random.default_rng(0).integers(0, 10**6, 5000)
    assert _stable_order(keys, 10**6).tolist() == np.argsort(keys, kind="stable").tolist()


def test_votes_in_many_blocks_equal_votes_in_one(monkeypatch: pytest.MonkeyPatch, small) -> None:
    whole = _small(small)
    monkeypatch.setattr("pipeline.ratings.vote_rows._BLOCK", 7)
    assert _small(small).coefficients == pytest.approx(whole.coefficients, abs=1e-12)


VOTES = np.array([(0, 1, 0), (1, 0, 0), (1, 2, 0), (2, 1, 0), (0, 2, 2), (0, 1, 3)])


@pytest.mark.parametrize(
    ("z", "features", "error", "message"),
    [
        (np.ones((6, 2)) * [1, 0], ("one", "two"), Collinear, "got two, which is 0 in every vote"),
        (np.c_[np.arange(6), 2.0 * np.arange(6)], ("one", "two"), Collinear, "got two, which the models, one already"),
        ([[1], [-1], [-0.5], [0.5], [0.5], [1]], ("skill",), Collinear, "got skill, which the models already"),
        ([[1], [np.nan], [0], [0], [0], [0]], ("one",), BadCounts, "finite number for one, got nan at row 1"),
        ([[1], [0], [0], [0], [np.inf], [0]], ("one",), BadCounts, "finite number for one, got inf at row 4"),
        (np.ones((5, 1)), ("one",), BadCounts, r"z of shape \(6, 1\), got \(5, 1\)"),
        (np.ones((6, 2)), ("one", "one"), BadCounts, "each once"),
        (np.ones((6, 0)), (), BadCounts, "expected style features"),
        ([["x"]] * 6, ("one",), BadCounts, "z to be numbers"),
    ],
)
def test_a_bad_feature_is_named(z, features, error, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        fit_style(NAMES[:3], *VOTES.T, z, features=features)
    if isinstance(caught.value, Collinear):
        assert caught.value.feature == features[-1]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_feature_that_separates_the_votes_is_named(scale: float) -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 3, 400)
    b = (a + rng.integers(1, 3, 400)) % 3
    z = rng.uniform(-1, 1, (400, 2)) * scale
    outcome = np.where(z[:, 1] > 0, 0, 1)
    with pytest.raises(Separated, match="got none for bold: the answer with more bold never loses") as caught:
        fit_style(NAMES[:3], a, b, outcome, z, features=("tokens", "bold"))
    assert caught.value.feature == "bold"


@pytest.mark.parametrize(("side", "sign"), [(0, "less"), (1, "more")])
@pytest.mark.parametrize("seed", range(4))
def test_the_direction_is_that_of_the_feature_that_separates(seed: int, side: int, sign: str) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 3, 400)
    b = (a + rng.integers(1, 3, 400)) % 3
    z = rng.uniform(-1, 1, (400, 3))
    outcome = np.where(z[:, 1] > 0, 1 - side, side)
    with pytest.raises(Separated, match=f"got none for bold: the answer with {sign} bold never loses"):
        fit_style(NAMES[:3], a, b, outcome, z, features=("tokens", "bold", "lists"))


def test_an_unfinished_fit_names_its_largest_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pass begins at the ratings without style: there only the feature has a gradient."""
    rng = np.random.default_rng(5)
    a = rng.integers(0, 3, 400)
    b = (a + rng.integers(1, 3, 400)) % 3
    z = rng.normal(0, 1, (400, 1))
    outcome = np.where(rng.random(400) < 1 / (1 + np.exp(-z[:, 0])), 0, 1)
    monkeypatch.setattr(style_newton, "_MAX_PASSES", 1)
    with pytest.raises(NotConverged) as caught:
        fit_style(NAMES[:3], a, b, outcome, z, features=("bold",))
    assert caught.value.gradient_norm > 10


def test_almost_separated_votes_still_have_an_estimate() -> None:
    rng = np.random.default_rng(3)
    a = rng.integers(0, 3, 4000)
    b = (a + rng.integers(1, 3, 4000)) % 3
    z = rng.choice([-1.0, 1.0], (4000, 1))
    outcome = np.where(z[:, 0] > 0, 0, 1)
    outcome[:3] = 1 - outcome[:3]
    found = fit_style(NAMES[:3], a, b, outcome, z, features=("bold",))
    assert found.coefficients[0] == pytest.approx(math.log(3997 / 3), abs=0.3)


def test_counts_without_an_estimate_have_none_with_style_control() -> None:
    with pytest.raises(Disconnected):
        fit_style(NAMES[:3], [0, 1], [1, 0], [0, 0], [[0.1], [0.2]], features=("one",))


@pytest.mark.parametrize(
    ("style_a", "style_b", "message"),
    [
        ([[1, -1]], [[0, 0]], "tokens of a to be a count, got -1 at row 1"),
        ([[1, 1]], [[0, np.nan]], "tokens of b to be a count, got nan at row 1"),
        ([["x"]], [[0]], "counts of tokens for a"),
        ([[1, 1]], [[0]], "expected 2 votes for tokens, got 2 for a and 1 for b"),
        ([[1], [1]], [[1], [1]], "expected 1 features, got 2 for a and 2 for b"),
    ],
)
def test_a_bad_style_count_is_named(style_a, style_b, message: str) -> None:
    with pytest.raises(BadCounts, match=message):
        style_contrast(style_a, style_b, STYLE_FEATURES[:1])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 2),
            st.integers(0, 3),
            st.sampled_from([0.0, 1.0, -1.0, 0.5, 1e-9, 1e9]),
            st.sampled_from([0.0, 1.0, 0.3]),
        ),
        max_size=14,
    )
)
def test_anything_gives_numbers_or_a_named_error_never_nan(votes) -> None:
    table = np.array(votes, dtype=np.float64).reshape(-1, 5)
    a, b, outcome = table[:, :3].astype(np.int64).T
    try:
        found = fit_style(NAMES[:3], a, b, outcome, table[:, 3:], features=("one", "two"))
    except RatingError as error:
        assert str(error)
        return
    for numbers in (found.ratings.theta, found.ratings.covariance, found.coefficients, found.covariance):
        assert np.isfinite(numbers).all()


def test_the_fit_says_how_well_it_converged(small) -> None:
    found = _small(small)
    assert found.ratings.converged
    assert found.ratings.gradient_norm < 1e-8
    assert found.ratings.iterations > fit(small.counts).iterations
