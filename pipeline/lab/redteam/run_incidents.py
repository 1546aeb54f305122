"""Groups the alerts of a run of all detectors into incidents, and finds suspected accounts, without a store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.incidents.carriers import CarriedAlert, ResultChange
from pipeline.incidents.claims import LIFTED, LOWERED, MODEL, NETWORK, Claim, claim_of
from pipeline.incidents.grouping import Incident, group_alerts
from pipeline.incidents.leanings import LEAST_VOTES, MOST, find_leanings
from pipeline.incidents.suspects import TargetVotes, find_suspects, is_established, period_of
from pipeline.lab.redteam.detector_run import DetectorRun, RaisedAlert
from pipeline.lab.simulate import SimulatedStream
from pipeline.lab.simulate.voter_population import NETWORKS
from pipeline.scoring.window import NEW_ACCOUNT
from pipeline.vocabulary.arrays import Bool, Int64


def find_incidents(run: DetectorRun) -> list[Incident]:
    """Return the incidents of a run."""
    return group_alerts(carried_alerts(run))


def suspected_voters(run: DetectorRun, incidents: Sequence[Incident]) -> dict[str, dict[int, float]]:
    """Return id of an incident → the codes of its suspected accounts, with ln of the e-value of each.

    An account of an incident is suspected in no other.
    """
    accounts = {voter for one in incidents for voter in one.voters}
    found: dict[str, dict[int, float]] = {}
    for one in incidents:
        claim = one.claims[0]
        if not is_established(one, claim):
            continue
        target = run.stream.models.index(claim.name)
        votes = votes_on(run, target, *period_of(one))
        suspects = find_suspects(votes, target + 1, claim.effect, one.voters, run.reference)
        found[one.incident_id] = {voter: log_e for voter, log_e in suspects.items() if voter not in accounts}
    return found


def votes_on(run: DetectorRun, target: int, first: int, last: int) -> TargetVotes:
    """Return the evaluated votes on a model, given its code, that were cast in [first, last]."""
    stream = run.stream
    rows = np.arange(run.split, len(stream))
    rows = rows[(stream.cast_at[rows] >= first) & (stream.cast_at[rows] <= last)]
    all_voters, outcome = stream.voter[rows].astype(np.int64), stream.outcome[rows]
    mine = rows[(stream.model_a[rows] == target) | (stream.model_b[rows] == target)]
    voter = stream.voter[mine].astype(np.int64)
    voters = np.unique(voter)
    every = np.isin(all_voters, voters)
    votes, ties = (
        np.bincount(np.searchsorted(voters, all_voters[chosen]), minlength=len(voters))
        for chosen in (every, every & (outcome >= 2))
    )
    a, b = (side[mine].astype(np.int64) + 1 for side in (stream.model_a, stream.model_b))
    return TargetVotes(voter, a, b, stream.outcome[mine], voters, votes, ties)


def carried_alerts(run: DetectorRun) -> list[CarriedAlert]:
    """Return the alerts of a run with the votes and voters that they are about.

    A run emits an alert again at each level that it reaches. All levels of an alert are returned as one alert.
    """
    order = np.argsort(run.stream.voter[run.split :], kind="stable") + run.split
    codes = run.stream.voter[order].astype(np.int64)
    latest: dict[tuple[str, str, str], tuple[RaisedAlert, RaisedAlert]] = {}
    found: list[tuple[RaisedAlert, RaisedAlert]] = []
    for one in run.alerts:
        key = (one.detector, one.subject, one.direction)
        first, last = latest.get(key, (one, one))
        if one.row < 0 and last.until <= one.at:
            found.append((first, last))
            first = one
        latest[key] = (first, one)
    return [_carry(run.stream, first, last, order, codes) for first, last in [*found, *latest.values()]]


def _carry(stream: SimulatedStream, first: RaisedAlert, last: RaisedAlert, order: Int64, codes: Int64) -> CarriedAlert:
    evidence = _named(last.evidence, stream.models)
    subject = {"kind": last.kind, "id": last.subject}
    stated = {"detector": last.detector, "subject": subject, "direction": last.direction, "evidence": evidence}
    if "group" in evidence:  # as in a store, a member of a group is claimed to do what the alert about the group states
        group = evidence["group"]
        about = {"kind": MODEL, "id": group["model"]}
        stated = {**stated, "subject": about, "direction": group["direction"]}
    claim = claim_of(stated)
    strength = math.log(last.e_value) if last.e_value else 0.0
    alert_id = f"{first.detector} {first.subject} {first.direction} {first.at}"
    critical = last.severity == "critical"
    if last.row >= 0:
        voter = int(last.subject, 16)
        rows = _rows_of(voter, order, codes)
        mine = np.array([voter], dtype=np.int64)
        return CarriedAlert(
            alert_id, claim, voter, strength, critical, first.at, *_span(stream, rows), rows, rows, mine,
            leanings=leanings_of(stream, rows),
        )  # fmt: skip
    if "window" not in evidence:
        return CarriedAlert(alert_id, claim, 0, strength, critical, first.at, first.at, last.until)
    if last.detector == "model_shift":  # as in a store, it is about no particular votes
        begun, change = evidence["window"][0], _change_of(stream, evidence, last.subject)
        return CarriedAlert(alert_id, claim, 0, strength, critical, first.at, begun, last.until, change=change)
    rows, end = _window_votes(stream, evidence, claim, last.until), evidence["window"][1]
    core = rows[stream.cast_at[rows] < end]
    voters, number = np.unique(stream.voter[rows], return_counts=True)
    often = {int(voter): _rows_of(int(voter), order, codes) for voter in voters[number >= LEAST_VOTES]}
    follow = {v: mine for v, mine in often.items() if leanings_of(stream, mine).get(claim, 0.0) >= MOST}
    return CarriedAlert(
        alert_id,
        claim,
        0,
        strength,
        critical,
        first.at,
        evidence["window"][0],
        last.until,
        rows,
        core,
        voters.astype(np.int64),
        _excess(evidence, len(core)),
        followers=follow,
    )


def _rows_of(voter: int, order: Int64, codes: Int64) -> Int64:
    """Return the rows of a voter's evaluated votes, ascending.

    Args:
        voter: code of the voter.
        order: int64[n], the rows of all evaluated votes, sorted by voter.
        codes: int64[n], the voter of each row in `order`.
    """
    return np.sort(order[np.searchsorted(codes, voter) : np.searchsorted(codes, voter, side="right")])


def leanings_of(stream: SimulatedStream, rows: Int64) -> dict[Claim, float]:
    """Return which models a voter favours or harms, with the share of the voter's votes that do so.

    Args:
        stream: the votes.
        rows: rows of the stream, all votes of the voter.
    """
    a, b, outcome = (column[rows].astype(np.int64) for column in (stream.model_a, stream.model_b, stream.outcome))
    found = find_leanings(a, b, outcome, len(stream.models))
    return {Claim(MODEL, stream.models[model], effect): share for model, effect, share in found}


def _span(stream: SimulatedStream, rows: Int64) -> tuple[int, int]:
    return int(stream.cast_at[rows[0]]), int(stream.cast_at[rows[-1]])


def _named(evidence: Mapping[str, Any], models: list[str] | tuple[str, ...]) -> dict[str, Any]:
    likeliest = [
        {**one, "model": models[one["model"] - 1]} if "model" in one else one for one in evidence.get("likeliest", ())
    ]
    return {**evidence, **({"likeliest": likeliest} if likeliest else {})}


def _excess(evidence: Mapping[str, Any], votes: int) -> float | None:
    seen = evidence.get("won", evidence.get("lost", evidence.get("votes")))
    return votes * (1 - evidence["expected"] / seen) if seen and "expected" in evidence else None


def _change_of(stream: SimulatedStream, evidence: Mapping[str, Any], model: str) -> ResultChange:
    first, end = evidence["window"]
    during = (stream.cast_at >= first) & (stream.cast_at < end)
    is_a, is_b = (side == stream.models.index(model) for side in (stream.model_a, stream.model_b))
    won, lost = (
        np.flatnonzero(during & ((is_a & (stream.outcome == for_a)) | (is_b & (stream.outcome == 1 - for_a))))
        for for_a in (0, 1)
    )
    return ResultChange.of(evidence, won.astype(np.int64), lost.astype(np.int64))


def _window_votes(stream: SimulatedStream, evidence: Mapping[str, Any], claim: Claim, until: int) -> Int64:
    """Return the rows of the votes that an alert about windows is about: int64[n], ascending.

    Args:
        stream: all votes.
        evidence: the evidence of the alert, which selects the votes.
        claim: the claim of the alert.
        until: end of the alert in microseconds since 1970 UTC. Later votes are left out.
    """
    chosen: Bool = (stream.cast_at >= evidence["window"][0]) & (stream.cast_at < until)
    if claim.kind == MODEL:
        code = stream.models.index(claim.name)
        is_a, is_b = stream.model_a == code, stream.model_b == code
        won = (is_a & (stream.outcome == 0)) | (is_b & (stream.outcome == 1))
        lost = (is_a & (stream.outcome == 1)) | (is_b & (stream.outcome == 0))
        chosen &= {LIFTED: won, LOWERED: lost}.get(claim.effect, is_a | is_b)
    if "cohort" in evidence:
        chosen &= stream.cast_at - stream.voter_since <= NEW_ACCOUNT
    network = evidence.get("network", claim.name if claim.kind == NETWORK else None)
    if network is not None:
        chosen &= stream.network == NETWORKS.index(str(network))
    if "prompt" in evidence:
        value, _, bits = str(evidence["prompt"]).partition("/")
        mask = (1 << int(bits or 32)) - 1
        chosen &= (stream.prompt_hash & np.uint64(mask)) == np.uint64(int(value, 16) & mask)
    return np.flatnonzero(chosen).astype(np.int64)
