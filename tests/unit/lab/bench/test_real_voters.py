"""Real voters as a benchmark: the shipped votes, draws, planted attackers, and the runs of the product over them."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipeline.cli.commands import app
from pipeline.errors import Usage
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.annotator_ability import estimate_abilities
from pipeline.lab.bench.detector_accuracy import PARTS
from pipeline.lab.bench.planted_attacks import ATTACKS, PlantedAttack, plant, without_attack
from pipeline.lab.bench.real_boards import RealBoard, RealVotes, read_crowd, read_judges
from pipeline.lab.bench.real_streams import run_backlog, run_stream
from pipeline.lab.bench.real_voter_accuracy import published_flags, real_voters, worker_slopes


def honest_votes(people: int = 40, each: int = 100, models: int = 8, seed: int = 1) -> RealVotes:
    rng = np.random.default_rng(seed)
    strength = np.linspace(-1.5, 1.5, models)
    voter = rng.permutation(np.repeat(np.arange(people), each))
    a = rng.integers(0, models, len(voter))
    b = (a + rng.integers(1, models, len(voter))) % models
    won = rng.random(len(voter)) < 1 / (1 + np.exp(strength[b] - strength[a]))
    outcome = np.where(rng.random(len(voter)) < 0.3, 2, np.where(won, 0, 1)).astype(np.int8)
    return RealVotes(models, voter, a, b, outcome)


def test_the_shipped_votes_are_those_of_the_crowd_and_name_nobody() -> None:
    votes = read_crowd().votes
    assert np.bincount(votes.outcome).tolist() == [2911, 2549, 3471]
    assert sorted(np.unique(votes.voter)) == list(range(1, 125))
    assert votes.models == 59
    assert (votes.model_a != votes.model_b).all()


def test_a_missing_file_of_votes_is_told(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="run the command from a checkout"):
        read_crowd(tmp_path / "votes.csv.gz")
    with pytest.raises(Usage, match="--wmt: expected a Parquet file"):
        read_judges(tmp_path / "none.parquet")


def judgements(path: Path) -> Path:
    """Two boards; judge 7 is on both, and ranks three systems at once."""
    rows = [("x", 7, 1, "s1", "s2", "model_a"), ("x", 7, 1, "s1", "s3", "model_b"), ("x", 7, 1, "s2", "s3", "tie"),
            ("x", 8, 2, "s2", "s1", "tie"), ("y", 7, 3, "s9", "s4", "model_b")]  # fmt: skip
    names = ("board", "judge", "ranking", "model_a", "model_b", "outcome")
    pq.write_table(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), path)
    return path


def test_judges_have_one_number_on_all_boards_and_a_draw_has_one_vote_of_each_ranking(tmp_path: Path) -> None:
    x, y = read_judges(judgements(tmp_path / "j.parquet"))
    assert (x.name, y.name, x.votes.models, y.votes.models) == ("x", "y", 3, 2)
    assert set(y.votes.voter) < set(x.votes.voter)
    seen = set()
    for seed in range(40):
        drawn = x.draw(np.random.default_rng(seed))
        assert sorted(drawn.voter) == sorted(np.unique(x.votes.voter))
        one = drawn.take(drawn.voter == y.votes.voter[0])
        seen.add(frozenset((int(one.model_a[0]), int(one.model_b[0]))))
        if {int(one.model_a[0]), int(one.model_b[0])} == {0, 1}:  # s1 won, on whichever side
            assert one.outcome[0] == (0 if one.model_a[0] == 0 else 1)
    assert len(seen) == 3, "each pair of the ranking is drawn"
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(Usage, match="cannot read"):
        read_judges(tmp_path / "text.parquet")
    both = pq.read_table(tmp_path / "j.parquet").to_pydict()
    pq.write_table(pa.table({**both, "outcome": [*both["outcome"][:-1], "both"]}), tmp_path / "o.parquet")
    with pytest.raises(Usage, match="got 'both' in row 4"):
        read_judges(tmp_path / "o.parquet")
    with pytest.raises(Usage, match="found no ranking"):
        pq.write_table(pq.read_table(tmp_path / "j.parquet").drop_columns(["ranking"]), tmp_path / "k.parquet")
        read_judges(tmp_path / "k.parquet")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.name)
def test_attackers_begin_after_the_first_part_and_leave_real_votes_as_they_are(attack: PlantedAttack) -> None:
    votes = honest_votes()
    stream = plant(votes, attack, 3, 800, np.random.default_rng(2))
    attacks = np.isin(stream.votes.voter, stream.attackers)
    assert attacks.sum() == 3 * attack.votes
    assert np.flatnonzero(attacks).min() >= 800
    kept = stream.votes.take(~attacks)
    assert all((getattr(kept, name) == getattr(votes, name)).all() for name in ("voter", "model_a", "outcome"))
    mine = stream.votes.take(attacks)
    on_a, on_b = np.isin(mine.model_a, stream.targets), np.isin(mine.model_b, stream.targets)
    won = np.where(on_a, mine.outcome == 0, mine.outcome == 1)[on_a ^ on_b]
    lost = np.where(on_a, mine.outcome == 1, mine.outcome == 0)[on_a ^ on_b]
    least = {"target only": 0.95, "target at 20%": 0.95, "provider": 0.95, "half strength at 20%": 0.5}
    assert won.mean() >= least.get(attack.name, 0.0)
    if attack.name == "losses to ties at 20%":
        assert not lost.any()
    if attack.focus is not None and attack.focus < 1:
        assert abs((on_a ^ on_b).mean() - attack.focus) < 0.06


@pytest.mark.long
def test_attackers_of_every_side_are_found_and_real_people_are_not() -> None:
    votes = honest_votes()
    found = run_stream(without_attack(votes))
    assert not np.isfinite(found.critical).any()
    assert found.seen.sum() == len(votes.voter) * 4 // 5
    stream = plant(votes, ATTACKS[0], 2, 800, np.random.default_rng(3))
    found = run_stream(stream)
    who = np.searchsorted(found.names, stream.attackers)
    assert np.isfinite(found.critical[who]).all()
    assert (found.about[who] == stream.targets[0]).all()
    assert np.isfinite(found.warned).sum() == 2
    backlog = run_backlog(stream)
    assert set(backlog.excluded) == set(stream.attackers)


def test_abilities_are_negative_for_voters_against_the_rating_and_near_zero_for_random_ones() -> None:
    votes = honest_votes()
    outcome = votes.outcome.copy()
    against, random = votes.voter < 3, (votes.voter >= 3) & (votes.voter < 6)
    outcome[against & (outcome < 2)] = 1 - outcome[against & (outcome < 2)]
    outcome[random] = np.random.default_rng(0).integers(0, 3, int(random.sum()))
    ability = estimate_abilities(RealVotes(votes.models, votes.voter, votes.model_a, votes.model_b, outcome))
    assert ability.mean() == pytest.approx(1.0)
    assert (ability[:3] < 0).all()
    assert np.abs(ability[3:6]).max() < 0.6 < ability[6:].min()


def test_the_slope_of_a_careful_worker_is_one_and_of_a_careless_one_zero() -> None:
    votes = honest_votes(each=300)
    outcome = np.where(votes.voter == 4, np.random.default_rng(5).integers(0, 3, len(votes.voter)), votes.outcome)
    mixed = RealVotes(votes.models, votes.voter, votes.model_a, votes.model_b, outcome.astype(np.int8))
    careful, careless = worker_slopes(mixed, np.array([9, 4]))
    assert 0.7 < careful < 1.4
    assert abs(careless) < 0.3


def test_published_rules_stand_beside_the_product() -> None:
    stream = plant(honest_votes(), ATTACKS[-2], 2, 800, np.random.default_rng(6))
    found = published_flags(stream, run_stream(stream))
    assert set(found) == {"am-ELO, ability at most 0", "production rule", "Fisher", "likelihood ratio"}
    assert set(stream.attackers) <= set(found["am-ELO, ability at most 0"])


@pytest.mark.long
def test_the_verb_prints_the_figures_of_both_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = RealBoard("b", honest_votes(people=30, each=60), np.arange(1_800), sides=True)
    monkeypatch.setattr("pipeline.cli.bench_evidence.read_crowd", lambda: board)
    monkeypatch.setattr("pipeline.lab.bench.real_voter_accuracy.ATTACKS", ATTACKS[:1])
    file = str(judgements(tmp_path / "j.parquet"))
    done = CliRunner().invoke(app, ["bench", "evidence", "--real", "--quick", "--wmt", file, "--json"])
    assert done.exit_code == 0, done.output
    figures = {one["what"]: one for one in json.loads(done.stdout)}
    assert figures["crowd: excluded by machine"]["value"] == 0
    assert figures["judges: excluded by machine"]["holds"] is True
    assert figures["crowd: target only: warned within 100 votes"]["value"] == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--real", "--only", "power"], "--only: expected no parts together with --real, got 'power'"),
        (["--real", "--scale", "0.1"], "--scale: expected no scale together with --real"),
        (["--real", "--scale", "7"], "--scale: expected above 0 and at most 1, got 7.0"),
        (["--only", "sampling", "--wmt", "j.parquet"], "--wmt: expected --real beside it, got 'j.parquet' alone"),
    ],
)
def test_an_option_without_effect_is_refused(given: list[str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*_: object, **__: object) -> list[AccuracyFigure]:
        raise AssertionError("measured although an option has no effect")

    monkeypatch.setattr("pipeline.cli.bench_evidence.real_voters", measured)
    monkeypatch.setitem(PARTS, "sampling", measured)
    done = CliRunner().invoke(app, ["bench", "evidence", *given])
    assert expected in f"{done.exception} {done.output}"
    assert isinstance(done.exception, Usage)


def test_a_file_of_judgements_in_the_environment_is_no_option_without_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "sampling", lambda scale: [AccuracyFigure("sampling", scale, "share")])
    given = ["bench", "evidence", "--only", "sampling", "--quick", "--json"]
    done = CliRunner(env={"INTEGRITY_BENCH_WMT": "j.parquet"}).invoke(app, given)
    assert done.exit_code == 0, done.output
    assert [one["value"] for one in json.loads(done.stdout)] == [0.1]


@pytest.mark.long
def test_every_person_and_every_rule_is_in_the_figures_of_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight people with each number of votes at and beside the bounds of the groups by votes cast."""
    monkeypatch.setattr("pipeline.lab.bench.real_voter_accuracy.ATTACKS", ())
    votes = honest_votes(people=40, each=130)
    kept = np.zeros(len(votes.voter), dtype=np.bool_)
    for person in range(40):
        kept[np.flatnonzero(votes.voter == person)[: (25, 26, 100, 101, 130)[person % 5]]] = True
    board = RealBoard("b", votes.take(kept), np.arange(int(kept.sum())), sides=True)
    found = {one.what: one for one in real_voters({"crowd": [board]}, 1)}
    rules = {name.removeprefix("crowd: 40 people × 1 orders: ") for name in found if "orders: " in name}
    assert rules == {
        "stream: biased", "stream: random", "backlog: biased", "backlog: in a group",
        "am-ELO, ability at most 0", "production rule", "Fisher", "likelihood ratio",
    }  # fmt: skip
    by_votes = [re.search(r"of (\d+) with (.*) votes", name) for name in found]
    numbers = {one[2]: int(one[1]) for one in by_votes if one}
    seen = run_stream(without_attack(board.draw(np.random.default_rng([1, 0])))).seen
    assert numbers == {
        "1 to 25": int(((seen > 0) & (seen <= 25)).sum()),
        "26 to 100": int(((seen > 25) & (seen <= 100)).sum()),
        "more than 100": int((seen > 100).sum()),
    }
    assert sum(numbers.values()) == 40
    assert {"crowd: excluded by machine", "  … of them with a slope of 0.3 or more"} < set(found)
