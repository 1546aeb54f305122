"""Writes the verdict of a report: the answer to "can this board be trusted?", and five sentences.

The five sentences say who leads and how surely, what the votes can separate, what manipulation was found, what the
order depends on, and what could not be checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.evidence import EvidenceSection
from pipeline.report.evidence.evidence_section import capital, count
from pipeline.report.probe_result import ProbeResult

NO, CARE, YES = "not as it stands", "with care", "as far as its votes show"
"""The answers to "can this board be trusted?"."""

FEWEST = "fewest_votes"
"""Id of the probe that says how few votes change the first place."""

# Names that a sentence lists.
_NAMED = 3
# How the direction of a finding begins → whether votes helped or harmed its model.
_SIDES = {"promote": "in favour of", "demote": "against"}
_NO_SIDE = "about"
_BOTH = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of a report.

    Attributes:
        answer: one of the constants NO ("not as it stands"), CARE ("with care") and YES ("as far as its votes show").
        sentences: the five sentences.
    """

    answer: str
    sentences: tuple[str, str, str, str, str]


def judge(
    rows: Sequence[Mapping[str, Any]],
    separated: Mapping[str, int],
    evidence: Sequence[EvidenceSection],
    probes: Sequence[ProbeResult],
    level: float,
    lacking: Sequence[str] = (),
) -> Verdict:
    """Return the verdict on the board of a report: an answer and five sentences.

    Args:
        rows: the board, from `board_rows`.
        separated: how many neighbours are separated, from `count_separated`.
        evidence: the sections of evidence.
        probes: the results of the probes.
        level: coverage of the intervals.
        lacking: what the file does not have, such as "voters".
    """
    accused = [section for section in evidence if section.accuses and section.found]
    doubts = [*(p for p in probes if p.fired), *(s for s in evidence if s.found or s.unavailable)]
    answer = NO if accused else CARE if doubts or _first(rows) > 1 else YES
    return Verdict(
        answer,
        (
            _leader(rows, level),
            _separation(separated),
            _manipulation(accused, evidence),
            _dependence(probes),
            _unchecked(evidence, probes, lacking),
        ),
    )


def _first(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return how many models may be the best: those whose joint rank set contains rank 1."""
    return sum(row["rank_best_joint"] == 1 for row in rows)


def _leader(rows: Sequence[Mapping[str, Any]], level: float) -> str:
    top = rows[0]
    names = [row["model"] for row in rows if row["rating"] == top["rating"]]
    points = f"{top['rating']:,.0f} points ({level:.0%} interval {top['lower']:,.0f} to {top['upper']:,.0f})"
    if len(names) == len(rows):
        return f"No model leads: {'both' if len(names) == _BOTH else f'all {len(names):,}'} have {points}."
    rivals = max(0, _first(rows) - len(names))
    sure = (
        "and no other model may be first, if all models are judged together"
        if not rivals
        else f"but {count(rivals, 'other model')} may be first as well, if all models are judged together"
    )
    return f"{_leaders(names)} with {points}, {sure}."


def _leaders(names: Sequence[str]) -> str:
    """Return the words of a sentence that say who leads; `names` are the models with the highest rating."""
    if len(names) == 1:
        return f"{names[0]} leads"
    more = [*names[:_NAMED], f"{len(names) - _NAMED:,} more"] if len(names) > _NAMED else names
    return f"{_and(more)} lead together"


def _separation(separated: Mapping[str, int]) -> str:
    pairs, each, jointly = (separated[name] for name in ("neighbours", "each", "jointly"))
    sure = "none" if not jointly else "all" if jointly == pairs else f"{jointly:,}"
    alone = "" if each == jointly else f" ({each:,} if each pair is judged alone)"
    open_pairs = pairs - jointly
    which = "each pair" if not jointly else "the other pair" if open_pairs == 1 else f"the other {open_pairs:,} pairs"
    rest = f"; which model of {which} is better is open" if open_pairs else ""
    return f"Of {count(pairs, 'pair')} of neighbours the votes separate {sure} for sure{alone}{rest}."


def _manipulation(accused: Sequence[EvidenceSection], evidence: Sequence[EvidenceSection]) -> str:
    if accused:
        kinds = ", ".join(f"{section.title.lower()} ({section.found:,})" for section in accused)
        return f"Manipulation was found{_targets(accused)}: {kinds}. {accused[0].findings[0].sentence}"
    open_tests = [section for section in evidence if section.accuses and section.unavailable]
    tested = sum(section.accuses for section in evidence) - len(open_tests)
    if not tested:
        return f"Whether votes were manipulated cannot be told: {open_tests[0].unavailable}."
    rest = f"; {count(len(open_tests), 'further test')} could not be made" if open_tests else ""
    return f"No manipulation was found by {count(tested, 'test')}{rest}."


def _targets(accused: Sequence[EvidenceSection]) -> str:
    """Return words such as " in favour of a and b, against c" about the first models; "" if no finding is about one.

    The models are in the order of their strongest finding.
    """
    findings = sorted((one for section in accused for one in section.findings), key=lambda one: -one.odds)
    sides: dict[str, set[str]] = {}
    for one in findings:
        model = one.subject if one.kind == "model" else one.details.get("model")
        if model:
            side = next((side for start, side in _SIDES.items() if one.direction.startswith(start)), _NO_SIDE)
            sides.setdefault(str(model), set()).add(side)
    groups: dict[str, list[str]] = {}
    for model, found in list(sides.items())[:_NAMED]:
        groups.setdefault(found.pop() if len(found) == 1 else _NO_SIDE, []).append(model)
    return f" {', '.join(f'{side} {_and(models)}' for side, models in groups.items())}" if groups else ""


def _dependence(probes: Sequence[ProbeResult]) -> str:
    made = [probe for probe in probes if probe.unavailable is None]
    fired = [probe for probe in made if probe.fired]
    fewest = next((probe.sentence.rstrip(".") for probe in made if probe.id == FEWEST), "")
    start = f"{fewest}; " if fewest else ""
    if not fired:
        return capital(f"{start}none of {count(len(made), 'probe')} gives a reason to doubt the order.")
    names = _listed([probe.title.lower() for probe in fired])
    verb = "gives" if len(fired) == 1 else "give"
    return capital(f"{start}{len(fired):,} of {count(len(made), 'probe')} {verb} a reason to doubt the order: {names}.")


def _unchecked(evidence: Sequence[EvidenceSection], probes: Sequence[ProbeResult], lacking: Sequence[str]) -> str:
    reasons = [one for one in (*(s.unavailable for s in evidence), *(p.unavailable for p in probes)) if one]
    always = "whether votes were added or removed before this file was made, no file can show"
    if not reasons:
        return capital(f"{always}.")
    because = f", for want of {_and(lacking)}" if lacking else ""
    return f"{count(len(reasons), 'question')} could not be answered{because}; {always}."


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
