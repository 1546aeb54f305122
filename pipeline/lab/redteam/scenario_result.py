"""Runs an attack scenario, and summarizes what was found as one row of the red team's table."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from pipeline.lab.redteam.attack_scenarios import HONEST_DAYS, AttackScenario, honest_spec, target_and_rival_names
from pipeline.lab.redteam.baselines import BASELINES
from pipeline.lab.redteam.detector_run import (
    DetectorRun,
    RaisedAlert,
    fit_ratings,
    rank_of,
    run_detectors,
    votes_under_alerts,
    with_twin,
)
from pipeline.lab.simulate import simulate_stream
from pipeline.scoring.signals import ALPHA
from pipeline.vocabulary.time import DAY, to_microseconds


@dataclass(frozen=True)
class ScenarioResult:
    """What the detectors found in one scenario, and how the board changed.

    "The policy" is auto-voter/1, which excludes voters with a critical alert.

    Attributes:
        scenario: name of the scenario.
        what: description of the scenario in words.
        attack_votes: number of attack votes.
        found: share of the attackers with a voter alert; None without attackers.
        excluded: share of the attackers whose votes the policy excludes.
        alerts: window detector → highest severity of its alerts about the model or the board. A detector without such
            an alert is missing.
        admitted: number of attack votes before the first alert about the attack; all attack votes if there is none.
        places_lost: number of ranks that the model lost by the attack, in three cases. The first is the raw view, the
            second the board with the policy. In the third, the votes that alerts about the model propose for exclusion
            are excluded too.
        honest_excluded: number of excluded honest votes in two cases: with the policy, and with the proposed exclusions
            too.
        false_voters: two shares of the honest voters. The first have an alert `biased`, whose error rate is proved. The
            second have an alert `random`, whose error rate is only measured.
        elsewhere: window detector → number of its alerts about other subjects or before the attack.
        baselines: name of a baseline → two shares of voters that it flags: the share of the attackers, and the share of
            the honest voters. Only voters with at least 20 votes count. A share is None if there are no such voters.
        must: the requirement of the scenario, see `AttackScenario.must`.
        passed: whether the requirement is met. For "alert", an attacker has a voter alert, or a window alert is about
            the model or the board. For "no alert", there is no window alert, and at most the share ALPHA of the honest
            voters has an alert `biased`. In S18, moreover, the framed model loses no rank with the policy.
    """

    scenario: str
    what: str
    attack_votes: int
    found: float | None
    excluded: float | None
    alerts: dict[str, str]
    admitted: int
    places_lost: tuple[int, int, int]
    honest_excluded: tuple[int, int]
    false_voters: tuple[float, float]
    elsewhere: dict[str, int]
    baselines: dict[str, tuple[float | None, float]]
    must: str
    passed: bool


# Honest voters with fewer votes are not counted for the baselines, which evaluate a hundred votes.
_LEAST_VOTES = 20


def evaluate_scenario(scenario: AttackScenario, votes: int, seed: int) -> ScenarioResult:
    """Run a scenario with this number of honest votes per month, and return its summary."""
    return summarize_run(scenario, run_scenario(scenario, votes, seed))


def run_scenario(scenario: AttackScenario, votes: int, seed: int) -> DetectorRun:
    """Simulate the votes of a scenario, and run every detector over these votes.

    Args:
        scenario: the scenario.
        votes: number of honest votes per month.
        seed: seed of the simulation.

    Returns:
        The alerts of all detectors, with the votes and the reference.
    """
    target, rival = target_and_rival_names()
    honest = honest_spec(scenario, votes, seed)
    stream = simulate_stream(honest, scenario.plan(target, rival))
    if scenario.twins:
        stream = with_twin(stream, target)
    split = int(np.searchsorted(stream.cast_at, to_microseconds(honest.start) + int(HONEST_DAYS * DAY)))
    return run_detectors(stream, split)


def summarize_run(scenario: AttackScenario, run: DetectorRun) -> ScenarioResult:
    """Summarize what the detectors found in a scenario. `run` is the result of `run_scenario`."""
    stream = run.stream
    about = dict(zip(("target", "rival"), target_and_rival_names(), strict=True))[scenario.about]
    attackers = np.unique(stream.voter[stream.is_attack])
    honest = np.setdiff1d(np.unique(stream.voter[run.split :]), attackers)
    proved, unproved = run.alerted_voters("biased"), run.alerted_voters("random")
    mine, elsewhere = _split_window_alerts(run, about)
    places, honest_out, lost = _places_and_exclusions(run, about)
    found, false_share = _share(attackers, run.alerted_voters()), _share(honest, proved) or 0.0
    if scenario.must == "alert":
        passed = bool(found or mine)
    else:
        passed = scenario.must == "report" or not (mine or elsewhere or false_share > ALPHA)
    # A framed model must not rank lower than without the attack, unless a person excludes votes.
    framed = scenario.about == "rival" and scenario.name.startswith("S18") and lost > 0
    return ScenarioResult(
        scenario=scenario.name,
        what=scenario.what,
        attack_votes=int(stream.is_attack.sum()),
        found=found,
        excluded=_share(attackers, run.critical_voters),
        alerts=_highest_severity(mine),
        admitted=_admitted(run, set(attackers.tolist()), mine),
        places_lost=places,
        honest_excluded=honest_out,
        false_voters=(false_share, _share(honest, unproved) or 0.0),
        elsewhere=dict(Counter(one.detector for one in elsewhere)),
        baselines=_baselines(run, attackers),
        must=scenario.must,
        passed=passed and not framed,
    )


def _split_window_alerts(run: DetectorRun, about: str) -> tuple[list[RaisedAlert], list[RaisedAlert]]:
    """Split the window alerts of a run in two: those that the attack may have caused, and all others.

    The first list has the alerts whose subject is the model `about` or the board, from the first attack vote on.
    """
    windows = [one for one in run.alerts if one.row < 0]
    since = run.stream.cast_at[run.stream.is_attack].min(initial=np.iinfo(np.int64).max)
    mine = [one for one in windows if one.subject in (about, "board") and one.at >= since]
    return mine, [one for one in windows if one not in mine]


def _share(codes: np.ndarray, flagged: set[int]) -> float | None:
    return float(np.isin(codes, list(flagged)).mean()) if len(codes) else None


def _highest_severity(alerts: list[RaisedAlert]) -> dict[str, str]:
    highest: dict[str, str] = {}
    for one in alerts:
        if highest.get(one.detector) != "critical":
            highest[one.detector] = one.severity
    return highest


def _admitted(run: DetectorRun, attackers: set[int], mine: list[RaisedAlert]) -> int:
    """Return the number of attack votes before the first alert about an attacker or the model."""
    alerted_at = [one.at for one in run.alerts if one.row >= 0 and int(one.subject, 16) in attackers]
    alerted_at += [one.at for one in mine]
    attack_at = np.sort(run.stream.cast_at[run.stream.is_attack])
    return int(np.searchsorted(attack_at, min(alerted_at, default=np.iinfo(np.int64).max)))


def _places_and_exclusions(run: DetectorRun, about: str) -> tuple[tuple[int, int, int], tuple[int, int], int]:
    """Return the attributes `places_lost` and `honest_excluded`, and the ranks lost under the policy.

    The last number says how many ranks lower the model `about` is on the board with the policy auto-voter/1 than on
    the board of honest votes alone. It is 0 if the model is not lower.
    """
    stream = run.stream
    honest, model = ~stream.is_attack, stream.models.index(about)
    policy = ~np.isin(stream.voter, list(run.critical_voters))
    person = policy & ~votes_under_alerts(stream, run.alerts, about)
    everything = np.ones(len(stream), bool)
    clean, *ranks = (rank_of(fit_ratings(stream, kept), model) for kept in (honest, everything, policy, person))
    raw, automatic, decided = (abs(clean - rank) for rank in ranks)
    excluded = (int((honest & ~policy).sum()), int((honest & ~person).sum()))
    return (raw, automatic, decided), excluded, max(ranks[1] - clean, 0)


def _baselines(run: DetectorRun, attackers: np.ndarray) -> dict[str, tuple[float | None, float]]:
    votes, reference = run.votes, run.reference
    count = np.bincount(votes.voter, minlength=len(votes.names))
    bad = np.isin(votes.names, attackers)
    good = ~bad & (count >= _LEAST_VOTES)
    flagged = {"ours": np.isin(votes.names, list(run.alerted_voters()))}
    flagged |= {name: rule.flags(votes, reference) for name, rule in BASELINES.items()}
    return {
        name: (float(flags[bad].mean()) if bad.any() else None, float(flags[good].mean()) if good.any() else 0.0)
        for name, flags in flagged.items()
    }
