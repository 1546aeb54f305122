"""Simulated streams: laws of the bytes, calibration against the real counts, and what attackers do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import Usage
from pipeline.events import decode_votes, encode_event
from pipeline.events.decode import decode_registry
from pipeline.events.strict_checks import is_provably_clean
from pipeline.lab.simulate import (
    AlwaysLeft,
    Attack,
    Burst,
    HonestSpec,
    Omnidirectional,
    RandomClicks,
    SimulatedStream,
    TargetOnly,
    demo_registry,
    list_attackers,
    real_counts,
    real_pair_rates,
    simulate_demo,
    simulate_stream,
)
from pipeline.lab.simulate.demo_registry import LABORATORY, VARIANTS, provider_and_licence
from pipeline.lab.simulate.keyed_hashing import hash_keys, hash_normal, to_hex
from pipeline.lab.simulate.pair_rates import averaged_logit
from pipeline.ratings import compute_leaderboard, strong_components
from pipeline.registry import Registry
from pipeline.vocabulary.time import DAY, HOUR, to_microseconds

TARGET = "yi-large"
SMALL = HonestSpec(votes=3_000, seed=5, models=40)


@pytest.fixture(scope="module")
def big() -> SimulatedStream:
    return simulate_stream(HonestSpec(votes=200_000, seed=11))


@pytest.fixture(scope="module")
def attacked() -> SimulatedStream:
    return simulate_stream(HonestSpec(votes=20_000, seed=7, models=70), ATTACKS)


ATTACKS: tuple[Attack, ...] = (
    TargetOnly(target=TARGET, voters=6, votes_each=(100, 200), sampling=0.2, from_day=10, to_day=20),
    TargetOnly(target=TARGET, voters=3, votes_each=50, direction="demote", otherwise="abstain"),
    TargetOnly(
        target=TARGET,
        voters=20,
        votes_each=100,
        sampling=0.5,
        accuracy=0.5,
        otherwise="random",
        new_accounts=True,
    ),
    Omnidirectional(voters=2, votes_each=100),
    AlwaysLeft(voters=2, votes_each=100),
    RandomClicks(voters=10, votes_each=400),
    Burst(target=TARGET, votes=101, minutes=30, voters=20, from_day=15),
)


def columns(stream: SimulatedStream) -> dict[str, Any]:
    return {name: getattr(stream, name) for name in stream.__slots__ if name not in ("models", "seed")}


def same(one: SimulatedStream, other: SimulatedStream) -> bool:
    pairs = zip(columns(one).values(), columns(other).values(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def wins_of(stream: SimulatedStream, model: str) -> tuple[np.ndarray, np.ndarray]:
    """Which votes hold a model, and which of them it wins."""
    code = stream.models.index(model)
    left, right = stream.model_a == code, stream.model_b == code
    return left | right, (left & (stream.outcome == 0)) | (right & (stream.outcome == 1))


# Bytes.


def test_every_line_is_canonical_and_accepted_on_the_fast_road(attacked: SimulatedStream) -> None:
    raw = list(attacked.to_bytes())
    votes, positions, rejects = decode_votes(raw)
    assert rejects == []
    assert positions == list(range(len(attacked)))
    assert [encode_event(vote) for vote in votes] == raw
    assert all(is_provably_clean(line, vote) for line, vote in zip(raw, votes, strict=True))


def test_a_line_says_what_the_columns_say() -> None:
    stream = simulate_stream(SMALL)
    votes, _, _ = decode_votes(list(stream.to_bytes()))
    for i in (0, 17, 2_999):
        assert votes[i].model_a == stream.models[stream.model_a[i]]
        assert votes[i].model_b == stream.models[stream.model_b[i]]
        assert votes[i].voter_id == stream.voter_id(int(stream.voter[i]))
        assert votes[i].vote_id == stream.vote_ids()[i]
        assert votes[i].winner == ("model_a", "model_b", "tie", "both_bad")[stream.outcome[i]]
        assert to_microseconds(votes[i].cast_at) == stream.cast_at[i]
        since = votes[i].voter_since
        assert since is not None
        assert to_microseconds(since) == stream.voter_since[i]


def test_a_whole_second_is_written_without_a_fraction() -> None:
    stream = simulate_stream(SMALL).take(slice(0, 2))
    stream.cast_at[:] = [1_719_792_000_000_000, 1_719_792_000_000_001]
    raw = list(stream.to_bytes())
    assert b'"2024-07-01T00:00:00Z"' in raw[0]
    assert b'"2024-07-01T00:00:00.000001Z"' in raw[1]
    assert [encode_event(vote) for vote in decode_votes(raw)[0]] == raw


@pytest.mark.long
def test_a_stream_longer_than_a_chunk_is_written_whole(tmp_path: Path, big: SimulatedStream) -> None:
    path = tmp_path / "votes.jsonl"
    big.write_jsonl(path)
    lines = path.read_bytes().splitlines()
    assert len(lines) == len(big) == 200_000
    assert lines[123_456] == next(big.take(slice(123_456, 123_457)).to_bytes())


def test_ids_are_unique_and_do_not_depend_on_the_part(attacked: SimulatedStream) -> None:
    ids = attacked.vote_ids()
    assert len(set(ids)) == len(attacked)
    assert {len(i) for i in ids} == {32}
    assert attacked.take(slice(50, 60)).vote_ids() == ids[50:60]


def test_hashes_are_bijective_and_their_normals_are_normal() -> None:
    keys = np.arange(100_000)
    assert len(np.unique(hash_keys(3, 1, 7, keys))) == len(keys)
    drawn = hash_normal(3, 0, keys, keys % 7)
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 1) < 0.02
    assert to_hex(np.array([255], dtype=np.uint64)) == ["00000000000000ff"]


# Determinism.


def test_the_same_seed_gives_the_same_votes_and_another_seed_others() -> None:
    assert list(simulate_stream(SMALL, ATTACKS[3:5]).to_bytes()) == list(
        simulate_stream(SMALL, ATTACKS[3:5]).to_bytes()
    )
    other = simulate_stream(HonestSpec(votes=3_000, seed=6, models=40))
    assert not same(simulate_stream(SMALL), other)
    assert not set(other.vote_ids()) & set(simulate_stream(SMALL).vote_ids())


def test_planting_changes_no_honest_vote(attacked: SimulatedStream) -> None:
    assert same(attacked.take(~attacked.is_attack), simulate_stream(HonestSpec(votes=20_000, seed=7, models=70)))


def test_the_attackers_seed_changes_only_the_attack() -> None:
    one, other = (simulate_stream(SMALL, ATTACKS[3:4], seed=seed) for seed in (1, 2))
    assert same(one.take(~one.is_attack), other.take(~other.is_attack))
    assert not same(one, other)


def test_votes_come_in_the_order_of_time_within_the_days(attacked: SimulatedStream) -> None:
    start = to_microseconds(datetime.fromisoformat("2024-07-01T00:00:00Z"))
    assert (np.diff(attacked.cast_at) >= 0).all()
    assert attacked.cast_at[0] >= start
    assert attacked.cast_at[-1] < start + 30 * DAY
    assert (attacked.voter_since <= attacked.cast_at).all()


# Calibration.


def test_the_busiest_hundredth_cast_a_sixth_of_the_votes(big: SimulatedStream) -> None:
    votes = np.sort(np.bincount(big.voter))[::-1]
    assert votes.mean() == pytest.approx(3.65, abs=0.01)
    assert votes.min() == 1
    assert votes[: len(votes) // 100].sum() / votes.sum() == pytest.approx(0.16, abs=0.02)


def test_outcome_shares_are_the_real_ones(big: SimulatedStream) -> None:
    real = real_counts().table().sum(axis=0) / real_counts().total
    share = np.bincount(big.outcome, minlength=4) / len(big)
    assert share[2:] == pytest.approx(real[2:], abs=0.008)
    # Sides are random here; the file's a and b are in alphabetical order.
    assert share[0] == pytest.approx(share[1], abs=0.008)


def test_every_pair_has_its_real_rates(big: SimulatedStream) -> None:
    # One vote a voter, else the busiest voters' tastes would be a second source of chance.
    stream = simulate_stream(HonestSpec(votes=200_000, voters=200_000, seed=12))
    for drawn, spread in ((stream, 1.1), (big, 1.4)):
        mine, real = drawn.pair_counts(), real_counts()
        rates, smoothed = mine.table(), real_pair_rates().wins
        place = {(a, b): i for i, (a, b) in enumerate(zip(real.a.tolist(), real.b.tolist(), strict=True))}
        at = np.array([place[pair] for pair in zip(mine.a.tolist(), mine.b.tolist(), strict=True)])
        decided = rates[:, 0] + rates[:, 1]
        often = decided >= 100
        p = smoothed[at][often]
        z = (rates[often, 0] - decided[often] * p) / np.sqrt(decided[often] * p * (1 - p))
        assert often.sum() > 200
        assert np.sqrt(np.mean(z**2)) < spread
        assert abs(np.mean(z)) < 0.3


def test_pairs_meet_as_often_as_they_really_did(big: SimulatedStream) -> None:
    real, mine = real_counts(), big.pair_counts()
    share = mine.battles_per_model() / mine.battles_per_model().sum()
    assert share == pytest.approx(real.battles_per_model() / real.battles_per_model().sum(), abs=0.002)
    assert set(zip(mine.a, mine.b, strict=True)) <= set(zip(real.a, real.b, strict=True))


def test_the_votes_of_all_voters_together_favour_as_strongly_as_the_real_ones(big: SimulatedStream) -> None:
    # Tastes would pull every rate towards one half: 1.4 points here, eight standard errors.
    board, mine = real_pair_rates(), big.pair_counts()
    rate = {(a, b): p for a, b, p in zip(board.a.tolist(), board.b.tolist(), board.wins.tolist(), strict=True)}
    p = np.array([rate[pair] for pair in zip(mine.a.tolist(), mine.b.tolist(), strict=True)])
    decided = mine.wins_a + mine.wins_b
    favourites = np.where(p > 0.5, mine.wins_a, mine.wins_b).sum() / decided.sum()
    assert favourites == pytest.approx((np.maximum(p, 1 - p) * decided).sum() / decided.sum(), abs=0.005)


@pytest.mark.parametrize("sd", [0.0, 0.5, 3.0])
def test_the_average_over_tastes_is_the_rate(sd: float) -> None:
    wanted = np.array([0.01, 0.3, 0.5, 0.9])
    z = np.random.default_rng(1).normal(0, sd, 400_000)
    average = [(1 / (1 + np.exp(-(level + z)))).mean() for level in averaged_logit(wanted, sd)]
    assert average == pytest.approx(wanted, abs=0.002)


def test_a_voter_keeps_its_taste_on_either_side() -> None:
    # One voter, one pair: the rate of that voter is one number, far from the board's for strong tastes.
    stream = simulate_stream(HonestSpec(votes=8_000, voters=10, seed=3, models=2, taste_sd=2.0))
    rates = []
    for voter in range(10):
        decided = stream.take((stream.voter == voter) & (stream.outcome < 2))
        first = np.where(decided.outcome == 0, decided.model_a, decided.model_b) == 0
        left = decided.model_a == 0
        if len(decided) > 150:
            rates.append((first[left].mean(), first[~left].mean()))
    on_left, on_right = np.array(rates).T
    assert len(rates) >= 5
    assert np.abs(on_left - on_right).max() < 0.2
    assert np.ptp(on_left) > 0.3


def test_prompts_repeat_and_accounts_have_all_ages(big: SimulatedStream) -> None:
    assert 1 - len(np.unique(big.prompt_hash)) / len(big) == pytest.approx(0.073, abs=0.003)
    _, first = np.unique(big.voter, return_index=True)
    age = (big.cast_at[first] - big.voter_since[first]) / DAY
    assert age.max() < 401
    assert 0.07 < (age < 1).mean() < 0.13
    assert 0.3 < (age < 7).mean() < 0.5


def test_each_voter_has_one_account(attacked: SimulatedStream) -> None:
    for column in (attacked.voter_since, attacked.language, attacked.network):
        assert len({*zip(attacked.voter.tolist(), column.tolist(), strict=True)}) == len(np.unique(attacked.voter))


def test_nights_are_quiet_and_hours_are_overdispersed(big: SimulatedStream) -> None:
    hour = big.cast_at // HOUR
    by_hour = np.bincount(hour % 24)
    assert 2 < by_hour[15] / by_hour[3] < 5
    counts = np.bincount(hour - hour.min())
    calm = simulate_stream(HonestSpec(votes=200_000, seed=11, burstiness=0))
    calm_counts = np.bincount(calm.cast_at // HOUR - hour.min())
    # The same hour of different weeks, Mondays to Fridays: Poisson without shocks.
    noon, calm_noon = (c[12::24][np.arange(30) % 7 < 5] for c in (counts, calm_counts))
    assert noon.var(ddof=1) / noon.mean() > 10
    assert calm_noon.var(ddof=1) / calm_noon.mean() < 3


# Attackers.


def test_a_promoter_makes_the_target_win_and_votes_normally_otherwise(attacked: SimulatedStream) -> None:
    mine = attacked.take(attacked.attack == 0)
    holds, wins = wins_of(mine, TARGET)
    assert (wins == holds).all()
    assert holds.mean() == pytest.approx(0.2, abs=0.06)
    ties = (mine.outcome[~holds] >= 2).mean()
    assert ties == pytest.approx(0.35, abs=0.1)
    start = to_microseconds(SMALL.start)
    assert mine.cast_at.min() >= start + 10 * DAY
    assert mine.cast_at.max() < start + 20 * DAY
    votes = np.bincount(mine.voter)[np.unique(mine.voter)]
    assert len(votes) == 6
    assert votes.min() >= 100
    assert votes.max() <= 200


def test_an_abstaining_demoter_votes_only_against_the_target(attacked: SimulatedStream) -> None:
    mine = attacked.take(attacked.attack == 1)
    holds, wins = wins_of(mine, TARGET)
    assert len(mine) == 150
    assert holds.all()
    assert not wins.any()
    assert (mine.outcome < 2).all()


def test_an_attacker_who_recognises_half_promotes_half(attacked: SimulatedStream) -> None:
    mine = attacked.take(attacked.attack == 2)
    holds, wins = wins_of(mine, TARGET)
    # Half is recognised, and of the other half a quarter of random clicks still goes to the target.
    assert wins[holds].mean() == pytest.approx(0.5 + 0.5 * 0.25, abs=0.06)
    assert np.bincount(mine.outcome[~holds], minlength=4) / (~holds).sum() == pytest.approx([0.25] * 4, abs=0.06)
    assert (mine.cast_at - mine.voter_since <= 32 * DAY).all()
    _, first = np.unique(mine.voter, return_index=True)
    assert (mine.cast_at - mine.voter_since)[first].max() <= 2 * DAY + 1_000_000


def test_the_others_do_what_their_names_say(attacked: SimulatedStream) -> None:
    theta = real_pair_rates(70).theta
    mine = attacked.take(attacked.attack == 3)
    chosen = np.where(mine.outcome == 0, mine.model_a, mine.model_b)
    passed = np.where(mine.outcome == 0, mine.model_b, mine.model_a)
    assert (mine.outcome < 2).all()
    assert (theta[chosen] < theta[passed]).all()
    assert (attacked.outcome[attacked.attack == 4] == 0).all()
    clicks = np.bincount(attacked.outcome[attacked.attack == 5], minlength=4) / 4_000
    assert clicks == pytest.approx([0.25] * 4, abs=0.03)


def test_a_burst_is_short_new_and_on_the_target(attacked: SimulatedStream) -> None:
    mine = attacked.take(attacked.attack == 6)
    holds, wins = wins_of(mine, TARGET)
    assert wins.all()
    assert holds.all()
    assert len(mine) == 101
    assert mine.cast_at.max() - mine.cast_at.min() < 30 * 60 * 1_000_000
    assert sorted(np.bincount(mine.voter)[np.unique(mine.voter)].tolist()) == [5] * 19 + [6]


def test_the_truth_names_every_attacker_and_nobody_else(attacked: SimulatedStream) -> None:
    known = list_attackers(attacked, ATTACKS)
    assert len(known) == sum(attack.voters for attack in ATTACKS)
    assert [a.kind for a in known[:9]] == ["target_only"] * 9
    assert {a.kind for a in known} == {
        "target_only", "omnidirectional", "always_left", "random_clicks", "burst"
    }  # fmt: skip
    assert sum(a.votes for a in known) == attacked.is_attack.sum()
    assert known[0].target_model == TARGET
    assert known[-21].target_model is None
    honest = {attacked.voter_id(code) for code in np.unique(attacked.voter[~attacked.is_attack]).tolist()}
    assert not honest & {a.voter for a in known}


def test_a_board_of_two_models_can_be_attacked() -> None:
    name = real_pair_rates(2).models[0]
    stream = simulate_stream(
        HonestSpec(votes=100, seed=0, models=2), [TargetOnly(target=name, voters=1, votes_each=9, sampling=0.1)]
    )
    assert stream.is_attack.sum() == 9


# The story.


def test_the_story_lifts_the_target_and_its_first_part_is_honest() -> None:
    story = simulate_demo()
    assert not story.before.is_attack.any()
    assert story.before.cast_at[-1] < story.after.cast_at[0]
    assert 0.01 <= story.after.is_attack.mean() <= 0.03
    assert len(story.attackers) == 17
    both = SimulatedStream.merge([story.before, story.after])
    raw, clean = both.pair_counts(), both.take(~both.is_attack).pair_counts()
    assert len(strong_components(raw.win_matrix())) == 1
    ranks = []
    for counts in (raw, clean):
        board = compute_leaderboard(counts)
        ranks.append(int(board.rank[board.models.index(story.target)]))
    assert 15 <= ranks[1] <= 25
    assert ranks[1] - ranks[0] >= 5


def test_a_story_too_short_for_its_attackers_is_refused() -> None:
    with pytest.raises(Usage, match="at least 50000 votes"):
        simulate_demo(votes=1_000)


# Bad arguments.


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"votes": 0}, "at least one vote, got 0"),
        ({"seed": -1}, "seed of at least 0, got -1"),
        ({"voters": 101}, "between 1 and 100 voters"),
        ({"voters": 0}, "between 1 and 100 voters"),
        ({"days": 0}, "days above 0"),
        ({"days": float("nan")}, "days above 0"),
        ({"start": datetime(2024, 7, 1)}, "time zone"),
        ({"taste_sd": -0.1}, "taste_sd of at least 0"),
        ({"tie_sd": float("inf")}, "tie_sd of at least 0"),
        ({"burstiness": -1}, "burstiness of at least 0"),
        ({"models": 1}, "between 2 and 129, got 1"),
        ({"models": 130}, "between 2 and 129, got 130"),
    ],
)
def test_a_stream_that_cannot_be_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage, match=words):
        HonestSpec(**{"votes": 100, "seed": 1, **wrong})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"voters": 0}, "at least one voter"),
        ({"votes_each": 0}, "votes_each of at least one"),
        ({"votes_each": (9, 3)}, r"lower bound first, got \(9, 3\)"),
        ({"from_day": -1}, "0 <= from_day < to_day"),
        ({"from_day": 3, "to_day": 3}, "0 <= from_day < to_day"),
        ({"sampling": 1.1}, "sampling within 0 and 1"),
        ({"accuracy": -0.1}, "accuracy within 0 and 1"),
        ({"direction": "up"}, "promote or demote, got up"),
        ({"otherwise": "sleep"}, "abstain, normal, random or ranking, got sleep"),
    ],
)
def test_an_attack_that_cannot_be_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Usage, match=words):
        TargetOnly(**{"target": TARGET, "voters": 1, "votes_each": 1, **wrong})


def test_a_burst_that_cannot_be_is_refused() -> None:
    with pytest.raises(Usage, match="between 1 and 3 voters, got 4"):
        Burst(target=TARGET, votes=3, minutes=1, voters=4)
    with pytest.raises(Usage, match="minutes above 0"):
        Burst(target=TARGET, votes=3, minutes=0, voters=1)
    with pytest.raises(Usage, match="accuracy within 0 and 1"):
        Omnidirectional(voters=1, votes_each=1, accuracy=2)


def test_an_unknown_target_is_named_with_its_neighbours() -> None:
    with pytest.raises(Usage, match="got 'yi-larg'; close: yi-large"):
        simulate_stream(HonestSpec(votes=100, seed=1), [TargetOnly(target="yi-larg", voters=1, votes_each=1)])
    with pytest.raises(Usage, match=r"among the 2 models, got 'yi-large'$"):
        simulate_stream(HonestSpec(votes=100, seed=1, models=2), [TargetOnly(target=TARGET, voters=1, votes_each=1)])


def test_an_attack_that_outlasts_the_stream_is_refused() -> None:
    with pytest.raises(Usage, match="within the 30 days of the stream, got day 20 to 31"):
        simulate_stream(SMALL, [AlwaysLeft(voters=1, votes_each=1, from_day=20, to_day=31)])
    with pytest.raises(Usage, match="got day 30 to 30"):
        simulate_stream(SMALL, [AlwaysLeft(voters=1, votes_each=1, from_day=30)])


def test_the_demo_s_registry_knows_every_model_and_one_laboratory_that_is_fiction() -> None:
    board = simulate_demo(50_000).before
    events, _, rejects = decode_registry(demo_registry(board.models, datetime(2024, 7, 1, tzinfo=UTC)))
    assert not rejects
    state = Registry(events).as_of(to_microseconds(datetime(2024, 7, 31, tzinfo=UTC)))
    assert set(board.models) < set(state.models)
    private = {name for name, model in state.models.items() if model.released_at is None}
    assert {state.models[name].provider for name in private} == {LABORATORY}
    assert len(private) == VARIANTS - 1
    with pytest.raises(ValueError, match="'nobody-1b'"):
        provider_and_licence("nobody-1b")
