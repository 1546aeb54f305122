"""`voter_bias`: agreement with a slow loop written from its docstring, and the voters that it finds."""

import math
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.detectors import VoterBias
from pipeline.detectors.voter.voter_bias.component_codec import unpack_components
from pipeline.detectors.voter.voter_bias.evidence_path import compute_path
from pipeline.detectors.voter.voter_bias.state_codec import (
    COMPONENTS_HEAD,
    MAX_PENDING,
    PendingVotes,
    StateHeads,
)
from pipeline.detectors.voter.voter_bias.target_models import (
    RANKED_AFTER,
    EvaluatedVotes,
    FoldedSums,
    TargetModels,
)
from pipeline.events.pseudonym import format_pseudonym
from pipeline.evidence import DELTAS, Reference, cell_counts, cells, running_sums
from pipeline.evidence.cell_counts import VoterCells
from pipeline.evidence.taste import ASSUMED_TASTE
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.scoring.signals import CRITICAL, LEVELS, AlertSignal
from tests.unit.evidence.test_swapped_outcomes import slow_swapped

MODELS = 20
NUMBERS = np.arange(MODELS) + 3


def board(seed: int = 0, size: int = MODELS, tie_share: float = 0.32) -> Reference:
    rng = np.random.default_rng(seed)
    theta, providers = rng.normal(0, 0.75, size), np.arange(size) % 3 - 1
    return Reference(5, NUMBERS[:size], theta, np.eye(size) * 0.002, tie_share, (3.2, 6.8), ASSUMED_TASTE, providers)


def votes_of(rows: list[tuple[int, int, int, int]], voters: int) -> VoterVotes:
    """(voter, a, b, outcome) in the order of offsets → as a detector sees them."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    order = np.argsort(table[:, 0], kind="stable")
    voter, a, b, outcome = table[order].T
    return VoterVotes(
        voter, np.arange(voters) * 7 - 3, 2, order + 100, (order + 1) * 1000, a, b, outcome.astype(np.int8), order * 0
    )


WEIGHTS = [verb * size for verb in (2 / 3, 1 / 3) for size in (0.6, 0.2, 0.2)]


@dataclass
class Slow:
    """One voter, one vote at a time, in plain Python."""

    votes: int = 0
    ties: int = 0
    generic: list[int] = field(default_factory=lambda: [0] * 5)
    met: dict[int, list[int]] = field(default_factory=dict)
    count: dict[int, int] = field(default_factory=dict)
    rank: dict[int, int] = field(default_factory=dict)
    reported: list[int] = field(default_factory=lambda: [0, 0])
    cast: list[tuple[int, int, int, Reference]] = field(default_factory=list)

    def see(self, a: int, b: int, outcome: int, reference: Reference) -> list[tuple[str, int, float]]:
        position = {int(n): i for i, n in enumerate(reference.model_no)}
        if a not in position or b not in position:
            return []
        i, j = position[a], position[b]
        outcome = min(outcome, 2)
        alpha, beta = reference.tie_prior
        honest = (alpha + self.ties) / (alpha + beta + self.votes)
        ratio = 0.5 / (honest if outcome == 2 else 1 - honest)
        nu = 2 * reference.tie_share / (1 - reference.tie_share)
        apart = math.cosh((reference.theta[i] - reference.theta[j]) / 2)
        least = math.floor(256 * honest * nu / (nu + 2 * apart) / reference.tie_share) / 256
        by_ties = [
            math.floor(math.log(kept if outcome == 2 else (1 - kept * least) / (1 - least)) / 2**-20)
            for kept in (0.65, 0.4, 0.15)
        ]
        one_side = min(least, 0.02)
        generic_ties = [
            math.floor(math.log(q / least if outcome == 2 else (1 - q) / (1 - least)) / 2**-20)
            for q in (one_side, one_side, (one_side + least) / 2)
        ]
        decided = [0] * 4 if outcome == 2 else reference.generic_ratios[i, j, outcome].tolist()
        steps = [step + more for step, more in zip(decided, [*generic_ties, 0], strict=True)]
        steps.append(math.floor(math.log(ratio) / 2**-20))
        self.generic = [old + step for old, step in zip(self.generic, steps, strict=True)]
        for model, (mine, other, won, lost) in {a: (i, j, 0, 1), b: (j, i, 1, 0)}.items():
            seen = self.count.get(model, 0)
            step = 0 if seen < 30 else 1 if seen < 90 else 2 if seen < 140 else 3
            band = reference.target_ratios[step]
            promoted, demoted = band[mine, other, int(outcome == won)], band[other, mine, int(outcome == lost)]
            steps = [0] * 6 if outcome == 2 else [*promoted, *demoted]
            sums = self.met.setdefault(model, [0] * 6)
            self.met[model] = [old + step + more for old, step, more in zip(sums, steps, [*by_ties] * 2, strict=True)]
            self.count[model] = seen + 1
            if seen + 1 == RANKED_AFTER:
                self.rank[model] = len(self.rank) + 1
        self.votes += 1
        self.ties += outcome == 2
        self.cast.append((i, j, outcome, reference))
        raised = []
        every = 4 if self.reported[0] else 32
        if self.votes % every == 0 or (not self.reported[0] and self.biased() * 2.0**-24 >= LEVELS[0]):
            band, cells = self.biased() * 2.0**-24, self.cells(reference)
            level, e_value = sum(cells >= bar for bar in LEVELS), cells
            if level < 2:
                e_value = (band + cells) / 2
                level = int(e_value >= LEVELS[0])
            if level > self.reported[0]:
                self.reported[0] = level
                raised.append(("biased", level, e_value))
        units = self.random() * 2.0**-24
        level = sum(units >= bar for bar in LEVELS)
        if level > self.reported[1]:
            self.reported[1] = level
            raised.append(("random", level, units))
        return raised

    def cells(self, reference: Reference) -> float:
        """The value against a mixture of tastes, from all votes so far, each by the snapshot in force before it."""
        habits = zip((0.1, 0.1, 0.05), self.generic, strict=False)
        whole = sum(_units(weight, log_sum) for weight, log_sum in habits) * 2.0**-24
        whole += 0.15 * math.exp(slow_swapped(self.count_cells(reference, None), reference))
        for weight, key in ((0.54, None), (0.06, reference.provider)):
            found = self.count_cells(reference, key)
            if key is None:  # of cells with equally many votes, the one met first has the lower rank
                met = list(self.met)
                order = sorted(range(len(found.key)), key=lambda c: met.index(int(reference.model_no[found.key[c]])))
                found = cell_counts.VoterCells(found.voter, found.key[order], found.counts.take(np.array(order)))
            share = cells.cell_weights(found.voter, found.counts.votes)
            for c in np.flatnonzero(found.counts.votes >= 3).tolist():
                e = cells.cell_e_values(found.counts.take(np.array([c])), reference, reference.taste.upper)
                whole += weight * share[c] * min(float(e[0]), 2.0**32)
        return whole

    def count_cells(self, reference: Reference, key: np.ndarray | None) -> VoterCells:
        """The counts of the votes of each snapshot, added up."""
        sums: dict[int, np.ndarray] = {}
        for sequence in {one.sequence for *_, one in self.cast}:
            of = next(one for *_, one in self.cast if one.sequence == sequence)
            assert np.array_equal(of.model_no, reference.model_no)
            mine = np.array([vote[:3] for vote in self.cast if vote[3].sequence == sequence], dtype=np.int64)
            outcome = mine[:, 2].astype(np.int8)
            part = cell_counts.count_cells(
                np.zeros(len(mine), dtype=np.int64), mine[:, 0], mine[:, 1], outcome, of, key
            )
            for c, name in enumerate(part.key.tolist()):
                row = np.array([getattr(part.counts, one.name)[c] for one in fields(part.counts)])
                sums[name] = sums.get(name, 0) + row
        table = np.zeros((len(fields(cell_counts.CellCounts)), len(sums)), dtype=np.int64)
        for c, name in enumerate(sorted(sums)):
            table[:, c] = sums[name]
        ties = sum(vote[2] == 2 for vote in self.cast)
        table[-2], table[-1] = len(self.cast) - table[0], ties - (table[0] - table[1] - table[2])
        counts = cell_counts.CellCounts(*table)
        return cell_counts.VoterCells(
            np.zeros(len(sums), dtype=np.int64), np.array(sorted(sums), dtype=np.int64), counts
        )

    def about_models(self) -> int:
        return sum(
            _units(0.6 / (rank * (rank + 1)) * weight, int(log_sum))
            for model, rank in self.rank.items()
            for log_sum, weight in zip(self.met[model], WEIGHTS, strict=True)
        )

    def biased(self) -> int:
        return self.about_models() + sum(_units(0.4 / 3, log_sum) for log_sum in self.generic[:3])

    def random(self) -> int:
        return _units(0.5, self.generic[3]) + _units(0.5, self.generic[3] + self.generic[4])


def _units(weight: float, log_sum: int) -> int:
    return math.floor(weight * math.exp(min(log_sum * 2**-20, 32 * math.log(2))) / 2**-24)


def close(fast: float, slow: float) -> bool:
    # Two exponentials may differ in their last bit, which moves a rounded unit by one.
    return math.isclose(fast, slow, rel_tol=1e-12, abs_tol=20 * 2**-24)


numbers = st.sampled_from([*NUMBERS[:4].tolist(), *NUMBERS[:4].tolist(), 1, 99])  # 1 and 99 are unknown
one_vote = st.tuples(st.integers(0, 3), numbers, numbers, st.integers(0, 3)).filter(lambda v: v[1] != v[2])
# Voters who press one button reach every level.
streams = st.lists(one_vote, max_size=60) | st.tuples(
    st.integers(0, 3), st.lists(one_vote, min_size=20, max_size=80)
).map(lambda t: [(v, a, b, t[0]) for v, a, b, _ in t[1]])


def as_components(states: list[bytes], *references: Reference) -> tuple[StateHeads, FoldedSums, TargetModels]:
    """The heads and components of states, with the pending votes folded."""
    heads, (tally, targets, providers) = StateHeads.unpack(states), unpack_components(states)
    past = PendingVotes.unpack(states, heads.pending, heads.snapshot)
    tied = (past.outcome == 2).astype(np.int64)
    first = heads.votes - np.bincount(past.voter, minlength=len(states))
    first_ties = heads.ties - np.bincount(past.voter, weights=tied, minlength=len(states)).astype(np.int64)
    before = running_sums(np.ones_like(tied), past.voter, first) - 1
    ties = running_sums(tied, past.voter, first_ties) - tied
    votes = EvaluatedVotes(past.voter, past.model_a, past.model_b, past.outcome, past.snapshot, before, ties)
    reference_of = {r.sequence: r for r in references}.__getitem__
    after, models, _ = compute_path(votes, tally, targets, reference_of).fold(tally, providers, reference_of)
    return heads, after, models


@given(streams, st.integers(0, 3))
@settings(max_examples=120, deadline=None)
@pytest.mark.long
def test_states_and_alerts_are_those_of_a_slow_loop(rows: list[tuple[int, int, int, int]], seed: int) -> None:
    reference = board(seed, size=4)
    slow = [Slow() for _ in range(4)]
    expected = [
        (offset + 100, voter, *output)
        for offset, (voter, a, b, outcome) in enumerate(rows)
        for output in slow[voter].see(a, b, outcome, reference)
    ]
    votes = votes_of(rows, 4)
    states, raised = VoterBias().observe(votes, [None] * 4, reference)
    heads, tally, targets = as_components(states, reference)
    for v, voter in enumerate(slow):
        mine = targets.voter == v
        assert (heads.votes[v], heads.ties[v], tally.met[v]) == (voter.votes, voter.ties, len(voter.met))
        assert [*tally.generic[v].tolist(), heads.uniform[v]] == voter.generic[:4]
        assert abs(int(heads.tie[v]) - voter.generic[4]) <= voter.votes
        assert heads.emitted[v].tolist() == voter.reported
        assert heads.bound[v] * 2.0**-20 >= math.log(max(voter.biased() * 2.0**-24, 1e-300)) or heads.emitted[v, 0]
        assert targets.model[mine].tolist() == list(voter.met)
        assert targets.rank[mine].tolist() == [voter.rank.get(model, 0) for model in voter.met]
        assert targets.votes[mine].tolist() == list(voter.count.values())
        assert targets.sums[mine].tolist() == list(voter.met.values())
        assert close(int(tally.total[v]) * 2.0**-24, voter.about_models() * 2.0**-24)
    labels = [format_pseudonym(int(name)) for name in votes.names]
    assert [(r.offset, r.subject, r.direction, r.level) for r in raised] == [
        (offset, labels[voter], direction, level) for offset, voter, direction, level, _ in expected
    ]
    for found, (*_, e_value) in zip(raised, expected, strict=True):
        assert close(found.e_value or 0, e_value)
        assert found.at == (found.offset - 99) * 1000


def play(
    rng: np.random.Generator, reference: Reference, choose: str, n: int, target: int | None = None
) -> list[tuple[int, int, int, int]]:
    """One voter's votes on random pairs."""
    rows = []
    for _ in range(n):
        i, j = rng.choice(len(reference.theta), 2, replace=False).tolist()
        tie = rng.random() < reference.tie_share
        win = rng.random() < 1 / (1 + math.exp(reference.theta[j] - reference.theta[i]))
        outcome = 2 if tie else 0 if win else 1
        if choose == "target" and target in (i, j):
            outcome = 0 if i == target else 1
        elif choose == "against" and target in (i, j):
            outcome = 1 if i == target else 0
        elif choose == "left":
            outcome = 0
        elif choose == "right":
            outcome = 1
        elif choose == "swap" and not tie:
            outcome = 1 if reference.theta[i] > reference.theta[j] else 0
        elif choose == "random":
            outcome = int(rng.integers(0, 4))
        rows.append((0, int(reference.model_no[i]), int(reference.model_no[j]), outcome))
    return rows


def alarms(choose: str, n: int, seeds: int, target: int | None = None, only: bool = False) -> list[AlertSignal | None]:
    """The first proved alert about each of several voters, or None."""
    first: list[AlertSignal | None] = []
    for seed in range(seeds):
        reference = board(seed)
        rows = play(np.random.default_rng(1000 + seed), reference, choose, n, target)
        if only:
            rows = [r for r in rows if target is not None and NUMBERS[target] in r[1:3]]
        _, raised = VoterBias().observe(votes_of(rows, 1), [None], reference)
        first.append(next((r for r in raised if r.direction == "biased"), None))
    return first


@pytest.mark.parametrize(
    ("side", "what"), [("left", "always votes for the left side"), ("right", "always votes for the right side")]
)
def test_a_voter_who_always_presses_one_side_is_found_within_20_votes(side: str, what: str) -> None:
    found = alarms(side, 20, seeds=20)
    assert all(found)
    assert np.median([r.evidence["votes"] for r in found if r]) <= 12
    assert all(r.evidence["likeliest"][0]["what"] == what for r in found if r)


@pytest.mark.parametrize(("choose", "verb"), [("target", "promotes"), ("against", "demotes")])
def test_a_voter_with_a_target_only_is_found_and_the_target_is_named(choose: str, verb: str) -> None:
    found = [r for r in alarms(choose, 500, seeds=20, target=4, only=True) if r]
    assert len(found) >= 18
    # Promoting a weak model resembles swapping win and loss, but the target is always among the three.
    named = [[(a["what"], a.get("model")) for a in r.evidence["likeliest"]] for r in found]
    assert all((verb, NUMBERS[4]) in three for three in named)
    assert sum(three[0] == (verb, NUMBERS[4]) for three in named) >= 0.75 * len(found)
    assert np.median([r.evidence["votes"] for r in found]) <= 30


def test_a_voter_who_swaps_win_and_loss_is_found() -> None:
    assert sum(r is not None for r in alarms("swap", 100, seeds=20)) >= 18


def test_clicking_at_random_is_a_warning_and_never_more() -> None:
    raised = []
    for seed in range(5):
        reference = Reference(5, NUMBERS, np.linspace(-3, 3, MODELS), np.eye(MODELS) * 0.002, 0.3, (3.2, 6.8))
        rows = play(np.random.default_rng(seed), reference, "random", 400)
        raised += VoterBias().observe(votes_of(rows, 1), [None], reference)[1]
    random = [r for r in raised if r.direction == "random"]
    assert max(r.level for r in random) == len(LEVELS)
    assert {r.severity for r in random} == {"warning"}
    assert {r.evidence["proved"] for r in random} == {False}


def test_a_biased_voter_has_one_alert_per_level_critical_from_ten_thousand() -> None:
    reference = board()
    rows = play(np.random.default_rng(3), reference, "left", 60)
    _, raised = VoterBias().observe(votes_of(rows, 1), [None], reference)
    biased = [r for r in raised if r.direction == "biased"]
    assert [r.level for r in biased] == [1, 2, 3, 4]
    for r in biased:
        assert r.e_value is not None
        assert LEVELS[r.level - 1] <= r.e_value
        assert r.severity == ("critical" if r.e_value >= CRITICAL else "warning")
        assert r.evidence["snapshot"] == reference.sequence
        assert r.evidence["votes"] == r.offset - 99
        assert 0 < sum(a["share"] for a in r.evidence["likeliest"]) <= 1.001


def test_both_kinds_of_tie_are_the_same_evidence() -> None:
    rows = play(np.random.default_rng(3), board(), "honest", 40)
    bad = [(v, a, b, 3 if o == 2 else o) for v, a, b, o in rows]
    assert VoterBias().observe(votes_of(rows, 1), [None], board()) == VoterBias().observe(
        votes_of(bad, 1), [None], board()
    )


@pytest.mark.long
def test_a_state_grows_with_the_models_met_and_not_with_the_votes() -> None:
    reference = board()
    sizes = []
    for votes in range(MAX_PENDING + 1, 500):
        rows = [(0, int(NUMBERS[0]), int(NUMBERS[1]), k % 3) for k in range(votes)]
        (state,), _ = VoterBias().observe(votes_of(rows, 1), [None], reference)
        sizes.append(len(state))
    assert max(sizes) <= min(sizes) + 5 * MAX_PENDING


def test_a_voter_of_few_votes_costs_five_bytes_a_vote() -> None:
    reference = board()
    sizes = [
        len(VoterBias().observe(votes_of([(0, int(NUMBERS[0]), int(NUMBERS[1]), 0)] * n, 1), [None], reference)[0][0])
        for n in range(MAX_PENDING + 2)
    ]
    assert np.diff(sizes[: MAX_PENDING + 1]).tolist() == [5] * MAX_PENDING
    assert sizes[-1] == COMPONENTS_HEAD + 32 + 2 * 58 + 30  # model 3 has no provider


@given(streams, st.integers(0, 3), st.data())
@settings(max_examples=60, deadline=None)
def test_a_history_folded_later_equals_one_folded_at_once(
    rows: list[tuple[int, int, int, int]], seed: int, data: st.DataObject
) -> None:
    first, second = board(seed, size=4), replace(board(seed + 10, size=4), sequence=6)
    cut = data.draw(st.integers(0, len(rows)))
    expected: list[tuple[int, str, int]] = []
    slow = [Slow() for _ in range(4)]
    for offset, (voter, a, b, outcome) in enumerate(rows):
        reference = first if offset < cut else second
        expected += [(voter, direction, level) for direction, level, _ in slow[voter].see(a, b, outcome, reference)]
    labels = [format_pseudonym(int(name)) for name in votes_of([], 4).names]
    states, before = VoterBias().observe(votes_of(rows[:cut], 4), [None] * 4, first)
    _, after = VoterBias().observe(votes_of(rows[cut:], 4), states, second, lambda _: first)
    assert [(r.subject, r.direction, r.level) for r in [*before, *after]] == [
        (labels[voter], direction, level) for voter, direction, level in expected
    ]


# -- what an alert is -------------------------------------------------------------------------


def test_the_sizes_of_bias_are_those_of_the_alternatives() -> None:
    reference = board(size=2)
    _, raised = VoterBias().observe(
        votes_of([(0, int(NUMBERS[k % 2]), int(NUMBERS[1 - k % 2]), k % 2) for k in range(60)], 1), [None], reference
    )
    assert {a["delta"] for r in raised for a in r.evidence["likeliest"] if "delta" in a} <= set(DELTAS)
