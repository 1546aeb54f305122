"""Measures whether incidents keep simultaneous attacks apart: mixes of two or three attacks among honest votes.

All accounts of an attack are planted. A planted account is called named if an incident or a note lists it, because an
alert is about the account or because its votes are among those of an alert about windows (`CarriedAlert.followers`).
The incident that lists most of the named accounts of an attack is taken as the incident of this attack. An incident
that lists no account is assigned by its model.

Purity and recall of the named accounts measure the grouping alone. The share of planted accounts that the incident
lists measures the detectors too: they miss accounts that seldom vote on the target. An incident also has suspected
accounts (`pipeline.incidents.suspects`). So purity and this share are measured twice: without and with them. Alerts are
those of the stream and of the nightly re-evaluations (`pipeline.lab.redteam.nightly_runs`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.incidents.grouping import Incident
from pipeline.lab.bench.accuracy_figure import AccuracyFigure
from pipeline.lab.bench.incident_oracle import oracle_recall
from pipeline.lab.redteam.attack_mixes import draw_mix, run_attacks
from pipeline.lab.redteam.detector_run import DetectorRun
from pipeline.lab.redteam.nightly_runs import with_nights
from pipeline.lab.redteam.run_incidents import find_incidents, suspected_voters
from pipeline.lab.simulate import Attack, Burst, TargetOnly

LEAST = 0.95
"""Target for purity and recall of every attack."""

MOST_INCIDENTS = 2
"""An attack should give at most this many incidents."""

HONEST_VOTES = 40_000
"""Default number of honest votes of a month."""

_HONEST = -1


@dataclass(frozen=True, slots=True)
class AttackMatch:
    """How well the accounts of one incident match one attack: the incident that has most accounts of the attack.

    Attributes:
        what: the attack in words.
        planted: number of the attack's accounts.
        named: number of the attack's accounts that are in any incident or note.
        incidents: number of incidents of the attack, without notes.
        purity: share of the accounts of the incident that belong to the attack; None if the incident has no account.
        recall: share of the attack's named accounts that the incident has; None if no account is named.
        planted_recall: share of the attack's planted accounts that the incident has.
        suspected: number of suspected accounts of the incident.
        purity_suspected, recall_suspected: `purity` and `planted_recall`, with suspected accounts counted as accounts.
        oracle_recall: share of the planted accounts that a test of the votes on the target finds if it knows target,
            direction and strength (`incident_oracle`); None for an attack without a target.
    """

    what: str
    planted: int
    named: int
    incidents: int
    purity: float | None
    recall: float | None
    planted_recall: float
    suspected: int
    purity_suspected: float | None
    recall_suspected: float
    oracle_recall: float | None


@dataclass(frozen=True, slots=True)
class MixMatch:
    """The attacks of one mix, and how many of its incidents are of no attack.

    Attributes:
        seed: seed of the mix.
        attacks: one match for each attack, in the order of `draw_mix`.
        others: number of incidents that belong to none of the attacks. Incidents that need no action
            (`Incident.is_note`) do not count.
    """

    seed: int
    attacks: tuple[AttackMatch, ...]
    others: int

    @property
    def is_met(self) -> bool:
        """Whether purity, recall and number of incidents of every attack meet their targets.

        Recall counts named accounts, and purity is measured with and without suspected accounts.
        """
        shares = [
            share
            for one in self.attacks
            for share in (one.purity, one.recall, one.purity_suspected)
            if share is not None
        ]
        return min(shares, default=1.0) >= LEAST and all(one.incidents <= MOST_INCIDENTS for one in self.attacks)


def measure_mixes(
    seeds: Iterable[int], votes: int = HONEST_VOTES, step: Callable[[], object] = lambda: None
) -> Iterator[MixMatch]:
    """Simulate one mix of attacks for each seed, and yield how well its incidents match the attacks.

    Args:
        seeds: the seeds. The same seed gives the same mix, votes and incidents.
        votes: number of honest votes of the month.
        step: called after each mix.
    """
    for seed in seeds:
        attacks = draw_mix(seed)
        run = with_nights(run_attacks(attacks, seed, votes))
        incidents = find_incidents(run)
        yield match_attacks(seed, attacks, run, incidents, suspected_voters(run, incidents))
        step()


def match_attacks(
    seed: int,
    attacks: Sequence[Attack],
    run: DetectorRun,
    incidents: Sequence[Incident],
    suspected: Mapping[str, Iterable[int]],
) -> MixMatch:
    """Return how well the incidents of a run match the attacks of its stream.

    Args:
        seed: seed of the mix, for the result.
        attacks: the attacks of the stream, in the order of their numbers.
        run: the run of the detectors over the stream.
        incidents: the incidents of the run, also those that need no action (`Incident.is_note`).
        suspected: id of an incident → its suspected accounts.
    """
    rows = np.arange(run.split, len(run.stream))
    attack = rows[run.stream.is_attack[rows]]
    source = dict(zip(run.stream.voter[attack].tolist(), run.stream.attack[attack].tolist(), strict=True))
    planted = Counter(source.values())
    named = Counter(source.get(voter, _HONEST) for one in incidents for voter in one.voters)
    acted = [one for one in incidents if not one.is_note]
    owner = [_owner(one, source, attacks) for one in acted]
    matches = []
    for number, one in enumerate(attacks):
        mine = [incident for incident, of in zip(acted, owner, strict=True) if of == number]
        counts = [_sources(incident.voters, source) for incident in mine]
        place = max(range(len(mine)), key=lambda at: counts[at][number], default=-1)
        best = counts[place] if mine else Counter[int]()
        more = _sources(suspected.get(mine[place].incident_id, ()) if mine else (), source)
        both = best + more
        matches.append(AttackMatch(
            _describe(one),
            planted[number],
            named[number],
            len(mine),
            best[number] / best.total() if best else None,
            best[number] / named[number] if named[number] else None,
            best[number] / planted[number],
            more.total(),
            both[number] / both.total() if both else None,
            both[number] / planted[number],
            oracle_recall(run, one, number),
        ))  # fmt: skip
    return MixMatch(seed, tuple(matches), sum(of == _HONEST for of in owner))


def summarize_mixes(mixes: Sequence[MixMatch]) -> list[AccuracyFigure]:
    """Return the figures of several mixes with their targets. `mixes` must not be empty."""
    attacks = [one for mix in mixes for one in mix.attacks]
    purity = [one.purity for one in attacks if one.purity is not None]
    recall = [one.recall for one in attacks if one.recall is not None]
    found = [one for one in attacks if one.incidents]
    figures = []
    for what, shares in (("incident's accounts that are of its attack", purity),
                         ("attack's named accounts in its incident", recall)):  # fmt: skip
        figures.append(AccuracyFigure(f"{what}, least", min(shares, default=0.0), "", at_least=LEAST))
        figures.append(AccuracyFigure(f"{what}, mean", _mean(shares), ""))
    figures.append(AccuracyFigure("attack's planted accounts in its incident, mean", _mean(
        [one.planted_recall for one in attacks]), ""))  # fmt: skip
    purity = [one.purity_suspected for one in attacks if one.purity_suspected is not None]
    recall = [one.recall_suspected for one in attacks]
    for what, shares in (("incident's accounts and suspects that are of its attack", purity),
                         ("attack's planted accounts among these", recall)):  # fmt: skip
        figures.append(AccuracyFigure(f"{what}, least", min(shares, default=0.0), "", at_least=LEAST))
        figures.append(AccuracyFigure(f"{what}, mean", _mean(shares), ""))
    told = [one.oracle_recall for one in attacks if one.oracle_recall is not None]
    figures.append(AccuracyFigure("oracle that knows target, direction and strength, mean", _mean(told), ""))
    whole = sum(one.recall_suspected >= LEAST for one in attacks)
    figures.append(AccuracyFigure(f"attacks with {LEAST:.0%} of their accounts", whole, f"of {len(attacks)}"))
    most = max(one.incidents for one in attacks)
    figures.append(AccuracyFigure("incidents of one attack, most", most, "", at_most=MOST_INCIDENTS))
    figures.append(AccuracyFigure("attacks with an incident", len(found) / len(attacks), ""))
    figures.append(AccuracyFigure("incidents of no attack", sum(one.others for one in mixes), f"in {len(mixes)} mixes"))
    return figures


def _sources(voters: Iterable[int], source: Mapping[int, int]) -> Counter[int]:
    """Count voters by the number of their attack; −1 stands for honest voters."""
    return Counter(source.get(voter, _HONEST) for voter in voters)


def _owner(incident: Incident, source: dict[int, int], attacks: Sequence[Attack]) -> int:
    """Return the number of the attack that an incident belongs to; −1 if it belongs to none."""
    if incident.voters:
        counts = Counter(source.get(voter, _HONEST) for voter in incident.voters)
        return max(counts, key=lambda number: (counts[number], number))
    about = incident.claims[0].name
    return next((number for number, one in enumerate(attacks) if one.target_model == about), _HONEST)


def _describe(attack: Attack) -> str:
    votes = "–".join(str(bound) for bound in dict.fromkeys(attack.vote_bounds()))
    how = attack.kind.replace("_", " ")
    if isinstance(attack, TargetOnly) and not isinstance(attack, Burst):
        how = f"{attack.direction}, otherwise {attack.otherwise}"
    return f"{how}, {attack.voters} × {votes}"


def _mean(shares: Sequence[float]) -> float:
    return float(np.mean(shares)) if shares else 0.0
