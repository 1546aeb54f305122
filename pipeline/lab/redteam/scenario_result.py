"""The table: one row a scenario."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pipeline.lab.redteam import detector_run as trials
from pipeline.lab.redteam.attack_scenarios import HONEST_DAYS, AttackScenario, honest_spec, target_and_rival_names
from pipeline.lab.redteam.baselines import BASELINES
from pipeline.lab.simulate import simulate_stream
from pipeline.lab.simulate.vote_simulator import VoteSimulator
from pipeline.scoring.signals import ALPHA
from pipeline.vocabulary.time import DAY


@dataclass(frozen=True)
class ScenarioResult:
    """What became of one scenario.

    Attributes:
        scenario, what: name and words.
        attack_votes: planted.
        found: share of the attackers with an alert of their own; None where there are none.
        excluded: share of them whose votes the policy leaves out.
        told: detectors that spoke about the model or the board, with the most severe word of each.
        admitted: attack votes cast before the first alert about the attack; all of them where there was none.
        places_lost: places that the model is away from where it belongs: raw, under the policy, and when a person
            besides leaves out the votes that the alerts about it speak of.
        honest_excluded: honest votes left out, under the policy and then by that person.
        false_voters: share of the honest voters with an alert (proved ones, and "clicks at random").
        elsewhere: alerts about models other than those attacked, networks, providers and the board.
        baselines: of each, and of us, the share of attackers and of honest voters (20 votes or more) that it flags.
        must: what the scenario asks; see `Scenario`.
        passed: False where nothing was said that must be, something that must not be, or a framed model lost by it.
    """

    scenario: str
    what: str
    attack_votes: int
    found: float | None
    excluded: float | None
    told: dict[str, str]
    admitted: int
    places_lost: tuple[int, int, int]
    honest_excluded: tuple[int, int]
    false_voters: tuple[float, float]
    elsewhere: dict[str, int]
    baselines: dict[str, tuple[float | None, float]]
    must: str
    passed: bool

    def shown(self) -> dict[str, Any]:
        """As one JSON object."""
        return asdict(self)


# Baselines judge a hundred votes; with fewer than this they have nothing to judge.
_ENOUGH = 20


def evaluate_scenario(scenario: AttackScenario, votes: int, seed: int) -> ScenarioResult:
    """Play a scenario.

    Args:
        votes: honest votes of a month.
        seed: of everything.
    """
    return summarize_run(scenario, run_scenario(scenario, votes, seed))


def run_scenario(scenario: AttackScenario, votes: int, seed: int) -> trials.DetectorRun:
    """Plant it and run every detector; see `judge`."""
    target, rival = target_and_rival_names()
    honest = honest_spec(scenario, votes, seed)
    stream = simulate_stream(honest, scenario.plan(target, rival))
    if scenario.twins:
        stream = trials.with_twin(stream, target)
    parting = int(np.searchsorted(stream.cast_at, VoteSimulator(honest).start + int(HONEST_DAYS * DAY)))
    return trials.run_detectors(stream, parting)


def summarize_run(scenario: AttackScenario, held: trials.DetectorRun) -> ScenarioResult:
    """What became of a scenario that was played."""
    stream = held.stream
    about = dict(zip(("target", "rival"), target_and_rival_names(), strict=True))[scenario.about]
    attackers = np.unique(stream.voter[stream.is_attack])
    others = np.setdiff1d(np.unique(stream.voter[held.parting :]), attackers)
    proved, unproved = held.alerted_voters("biased"), held.alerted_voters("random")
    mine, elsewhere = _of_windows(held, about)
    places, honest_out, lost = _board(held, about)
    told_of = _share(attackers, held.alerted_voters()) or 0.0
    row = ScenarioResult(
        scenario.name,
        scenario.what,
        int(stream.is_attack.sum()),
        _share(attackers, held.alerted_voters()),
        _share(attackers, held.critical_voters),
        _worst(mine),
        _admitted(held, set(attackers.tolist()), mine),
        places,
        honest_out,
        (_share(others, proved) or 0.0, _share(others, unproved) or 0.0),
        dict(Counter(one.detector for one in elsewhere)),
        _baselines(held, attackers),
        scenario.must,
        (told_of > 0 or bool(mine)) if scenario.must == "be told" else True,
    )
    noisy = scenario.must == "be silent" and (mine or elsewhere or row.false_voters[0] > ALPHA)
    # Whoever is framed must never stand lower than without the votes that frame it, unless a person decides so.
    framed = scenario.about == "rival" and scenario.name.startswith("S18") and lost > 0
    return replace(row, passed=row.passed and not noisy and not framed)


def _of_windows(held: trials.DetectorRun, about: str) -> tuple[list[trials.RaisedAlert], list[trials.RaisedAlert]]:
    """What was said of the model or the board since the first attack vote, and everything else."""
    windows = [one for one in held.told if one.row < 0]
    planted = held.stream.cast_at[held.stream.is_attack]
    since = planted.min(initial=np.iinfo(np.int64).max)
    mine = [one for one in windows if one.subject in (about, "board") and one.at >= since]
    return mine, [one for one in windows if one not in mine]


def _share(codes: np.ndarray, flagged: set[int]) -> float | None:
    return float(np.isin(codes, list(flagged)).mean()) if len(codes) else None


def _worst(told: list[trials.RaisedAlert]) -> dict[str, str]:
    worst: dict[str, str] = {}
    for one in told:
        if worst.get(one.detector) != "critical":
            worst[one.detector] = one.severity
    return worst


def _admitted(held: trials.DetectorRun, attackers: set[int], mine: list[trials.RaisedAlert]) -> int:
    """Attack votes before the first alert on an attacker, or about the model."""
    about_it = [one.at for one in held.told if one.row >= 0 and int(one.subject, 16) in attackers]
    about_it += [one.at for one in mine]
    planted = np.sort(held.stream.cast_at[held.stream.is_attack])
    return int(np.searchsorted(planted, min(about_it, default=np.iinfo(np.int64).max)))


def _board(held: trials.DetectorRun, about: str) -> tuple[tuple[int, int, int], tuple[int, int], int]:
    """Places lost; honest votes left out; and places that a model lost below where it belongs, by the policy."""
    stream = held.stream
    model = stream.models.index(about)
    clean = trials.rank_of(trials.fit_ratings(stream, ~stream.is_attack), model)
    auto = ~np.isin(stream.voter, list(held.critical_voters))
    person = auto & ~trials.votes_under_alerts(stream, held.told, about)
    stands = [
        trials.rank_of(trials.fit_ratings(stream, kept), model) for kept in (np.ones(len(stream), bool), auto, person)
    ]
    raw, policy, decided = (abs(clean - at) for at in stands)
    honest = ~stream.is_attack
    out = (int((honest & ~auto).sum()), int((honest & ~person).sum()))
    return (raw, policy, decided), out, max(stands[1] - clean, 0)


def _baselines(held: trials.DetectorRun, attackers: np.ndarray) -> dict[str, tuple[float | None, float]]:
    votes, reference = held.votes, held.reference
    count = np.bincount(votes.voter, minlength=len(votes.names))
    bad = np.isin(votes.names, attackers)
    good = ~bad & (count >= _ENOUGH)
    found: dict[str, tuple[float | None, float]] = {}
    flagged = {name: rule.flags(votes, reference) for name, rule in BASELINES.items()}
    for name, flags in {"ours": np.isin(votes.names, list(held.alerted_voters())), **flagged}.items():
        found[name] = (
            float(flags[bad].mean()) if bad.any() else None,
            float(flags[good].mean()) if good.any() else 0.0,
        )
    return found
