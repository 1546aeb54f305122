"""Measures false alarms on honest boards that the simulator did not make: `python -m tests.streams.honest_rates`.

Windows: all window detectors together over one month of each kind of board, for several seeds. Voters: `voter_bias`
over voters with one number of votes each. Their reference is estimated from the votes of other voters, as a refresh
estimates it. The results are in `docs/contract/evidence.md`.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from pipeline.detectors import VoterBias
from pipeline.evidence import Reference
from pipeline.lab.bench.real_boards import RealVotes
from pipeline.lab.bench.real_streams import as_batch, snapshot_reference
from tests.streams.independent import BoardSpec, draw_pairs, honest_outcomes, make_board
from tests.streams.window_run import by_detector, window_alerts

BOARDS = {
    "sittings": BoardSpec(votes_a_day=14_000, networks=300),
    "quiet": BoardSpec(days=60, votes_a_day=50, models=20),
    "newcomers tie less": BoardSpec(votes_a_day=4_000, models=48, newcomer_ties=0.15),
    "viral days": BoardSpec(votes_a_day=4_000, viral=(17, 18)),
    "supporters": BoardSpec(votes_a_day=4_000, supporters=0.15),
    "one category": BoardSpec(votes_a_day=4_000, one_category=1.0, category_weights=0.3),
}
"""Kinds of honest boards. Their first ten days, of a quiet board twenty, make the first snapshot; then one a week."""

VOTERS = {
    "tastes": BoardSpec(models=20, tie_sd=0.97, sharpness_sd=0.3),
    "supporters": BoardSpec(models=20, tie_sd=0.97, sharpness_sd=0.3, supporters=0.15),
    "one category": BoardSpec(models=20, tie_sd=0.97, sharpness_sd=0.3, one_category=1.0, category_weights=0.5),
}
"""Kinds of honest voters. Each is drawn at several spreads of taste."""

_BLOCK = 200_000


@dataclass(frozen=True)
class VoterRate:
    """How many of `voters` honest voters were warned of, and how many would be excluded by machine."""

    voters: int
    warned: int
    critical: int


def count_window_alerts(kind: str, seed: int) -> Counter[str]:
    """Run all window detectors over an honest board and return the number of alerts of each detector."""
    spec = replace(BOARDS[kind], seed=seed)
    first = 20 if spec.votes_a_day < 100 else 10
    return by_detector(window_alerts(spec, make_board(spec).votes, snapshot_day=first, every=7))


def count_voter_alerts(kind: str, taste: float, voters: int, votes: int, seed: int, known: int = 100_000) -> VoterRate:
    """Run `voter_bias` over honest voters and count those with a warning and with a critical alert.

    Args:
        kind: a key of `VOTERS`.
        taste: spread of a voter's taste for a model, in logits.
        voters: number of voters.
        votes: number of votes of each.
        seed: seed of the random numbers, and so of the reference.
        known: number of votes that the reference is estimated from, 25 of each voter.
    """
    spec = replace(VOTERS[kind], taste=taste, seed=seed)
    rng = np.random.default_rng([seed, 97])
    strengths = rng.normal(0, spec.strength_sd, spec.models)
    reference = snapshot_reference(_draw(spec, strengths, rng, 10**7, known // 25, 25), np.zeros(0, dtype=np.int64), 1)
    assert reference is not None
    warned = critical = 0
    step = max(_BLOCK // votes, 1)
    for first in range(0, voters, step):
        found = _run_block(_draw(spec, strengths, rng, first, min(step, voters - first), votes), reference)
        warned, critical = warned + found[0], critical + found[1]
    return VoterRate(voters, warned, critical)


def _draw(
    spec: BoardSpec, strengths: np.ndarray, rng: np.random.Generator, first: int, voters: int, votes: int
) -> RealVotes:
    """Draw the votes of so many voters with the numbers from `first` on, in random order."""
    voter = rng.permutation(np.repeat(np.arange(first, first + voters), votes))
    category = np.where(spec.one_category == 1.0, voter % spec.categories, rng.integers(0, spec.categories, len(voter)))
    a, b = draw_pairs(spec, rng, category)
    outcome = honest_outcomes(spec, strengths, rng, voter, np.zeros(len(voter), dtype=bool), a, b)
    return RealVotes(spec.models, voter, a, b, np.minimum(outcome, 2).astype(np.int8))


def _run_block(votes: RealVotes, reference: Reference) -> tuple[int, int]:
    given = as_batch(votes, 0, len(votes.voter))
    _, alerts = VoterBias().observe(given, [None] * len(given.names), reference)
    biased = [one for one in alerts if one.direction == "biased"]
    return (
        len({one.subject for one in biased}),
        len({one.subject for one in biased if one.severity == "critical"}),
    )


def main() -> None:
    """Print a line for each board or each group of voters."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--part", choices=("windows", "voters"), default="windows")
    parser.add_argument("--kinds", default="", help="comma-separated; all by default")
    given = parser.parse_args()
    if given.part == "windows":
        for kind in given.kinds.split(",") if given.kinds else BOARDS:
            for seed in range(given.seeds):
                found = count_window_alerts(kind, seed)
                sys.stdout.write(f"{kind}, seed {seed}: {sum(found.values())} alerts {dict(found)}\n")
        return
    for kind in given.kinds.split(",") if given.kinds else VOTERS:
        for taste in (0.3, 0.5, 0.75, 1.0):
            for voters, votes in ((30_000, 100), (4_000, 400)):
                rate = count_voter_alerts(kind, taste, voters, votes, seed=1)
                sys.stdout.write(f"{kind}, taste {taste}, {votes} votes each: {rate}\n")


if __name__ == "__main__":
    main()
