"""The nightly re-evaluation of a simulated stream finds accounts that are each too weak to be found alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.evidence.multiple_testing import ELond
from pipeline.incidents.claims import LIFTED, MODEL, Claim
from pipeline.jobs.backlog.evaluation_run import EvaluationRun
from pipeline.lab.redteam.attack_scenarios import MODELS
from pipeline.lab.redteam.detector_run import DetectorRun, RaisedAlert, estimate_reference
from pipeline.lab.redteam.nightly_runs import EVERY, nightly_alerts, with_nights
from pipeline.lab.redteam.run_incidents import find_incidents
from pipeline.lab.simulate import HonestSpec, TargetOnly, real_pair_rates, simulate_stream
from pipeline.scoring.detector_contracts import VoterVotes
from pipeline.vocabulary.time import DAY, to_microseconds

TARGET = real_pair_rates(MODELS).models[3]
FEW_EACH = TargetOnly(target=TARGET, voters=40, votes_each=(8, 10), otherwise="abstain", from_day=7.0, to_day=9.0)
NONE = np.zeros(0, dtype=np.int64)


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def run() -> DetectorRun:
    """Six honest days, and eight days with forty accounts of which no detector of the stream ran."""
    honest = HonestSpec(votes=6_000, seed=1, days=14.0, models=MODELS)
    stream = simulate_stream(honest, [FEW_EACH])
    split = int(np.searchsorted(stream.cast_at, to_microseconds(honest.start) + 6 * DAY))
    none = VoterVotes(NONE, NONE, 1, NONE, NONE, NONE, NONE, NONE.astype(np.int8), NONE)
    return DetectorRun(stream, split, estimate_reference(stream.take(slice(0, split))), [], none)


def test_accounts_with_few_votes_each_are_one_incident_which_names_them(run: DetectorRun) -> None:
    found = [one for one in find_incidents(with_nights(run)) if not one.is_note]
    assert [one.claims for one in found] == [(Claim(MODEL, TARGET, LIFTED),)]
    planted = set(run.stream.voter[run.stream.is_attack].tolist())
    assert len(planted & found[0].voters) >= 0.95 * len(planted)
    assert len(found[0].voters - planted) <= 0.05 * len(planted)


def test_an_alert_is_raised_again_only_if_a_later_night_has_more_evidence(run: DetectorRun) -> None:
    alerts = nightly_alerts(run)
    assert Counter((one.detector, one.kind) for one in alerts)["pooled_voters", "model"] >= 1
    values: dict[tuple[str, str, str], list[float]] = {}
    for one in alerts:
        values.setdefault((one.detector, one.subject, one.direction), []).append(one.e_value or 0.0)
    assert all(np.diff(one).min(initial=1.0) > 0 for one in values.values())


def test_every_night_counts_as_a_family_and_reads_the_votes_and_suspects_until_then(
    run: DetectorRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int, int]] = []
    evaluate = EvaluationRun.evaluate

    def spy(self: EvaluationRun, start: ELond):
        seen.append((start.submitted, len(self.given.votes.voter), int(self.given.suspects.sum())))
        return evaluate(self, start)

    monkeypatch.setattr(EvaluationRun, "evaluate", spy)
    at = run.stream.cast_at
    nights = [int(at[run.split]) + EVERY * DAY * n for n in (1, 2)]
    late = int(np.searchsorted(at, nights[0]))  # the first vote after the first of the two nights
    subject = f"{int(run.stream.voter[late]):016x}"
    flagged = RaisedAlert("voter_bias", subject, "biased", "warning", int(at[late]), late, {})
    nightly_alerts(replace(run, alerts=[flagged]))
    # A backfill, six nights before the first evaluated vote, and three that are not run before each that is.
    assert [one[0] for one in seen] == [1 + 6 + EVERY - 1, 1 + 6 + 2 * EVERY - 1]
    assert [one[1] for one in seen] == [int((at < night).sum()) for night in nights]
    assert [one[2] for one in seen] == [0, 1]
