"""Computes how many accounts of a planted attack a test finds that knows the attack: an oracle for `incident_accuracy`.

The oracle knows the target, the direction and the strength. Of each voter with at least three votes on the target, it
computes the likelihood ratio of these votes for the largest bias that detectors assume, which makes nearly all votes
follow the bias, with rarer ties. The null hypothesis is an honest voter, with taste and errors of the ratings
integrated out. e-BH selects the voters at the level at which accounts are suspected. So it is what
`pipeline.incidents.suspects` could find at best if it knew all about the attack but its accounts.

The share is no upper bound of what incidents can have. Other votes of the accounts are evidence for other detectors,
and voters who are pooled are named by the probability that they belong to a group, with no level for each of them.
"""

from __future__ import annotations

import numpy as np

from pipeline.evidence import to_log_units
from pipeline.evidence.cells import KINDS, log_ratios
from pipeline.evidence.multiple_testing import e_bh
from pipeline.incidents.suspects import FALSE_SHARE, cells_on
from pipeline.lab.redteam.detector_run import DetectorRun
from pipeline.lab.redteam.run_incidents import votes_on
from pipeline.lab.simulate import Attack, TargetOnly

_KIND = KINDS.index("wins and rarer ties")


def oracle_recall(run: DetectorRun, attack: Attack, number: int) -> float | None:
    """Return the share of the accounts of an attack that the oracle finds among all voters of the evaluated votes.

    Args:
        run: the run of the detectors over the stream.
        attack: the attack.
        number: the number of the attack in the stream.

    Returns:
        The share, from 0 to 1; None for an attack without a target.
    """
    if not isinstance(attack, TargetOnly):
        return None
    stream = run.stream
    accounts = np.unique(stream.voter[stream.attack == number])
    target = stream.models.index(attack.target)
    votes = votes_on(run, target, int(stream.cast_at[run.split]), int(stream.cast_at[-1]))
    voters, counts = cells_on(votes, target + 1, run.reference)
    side = 0 if attack.direction == "promote" else 1
    log_e = log_ratios(counts, run.reference, run.reference.taste.upper)[:, side, _KIND, -1]
    found = voters[e_bh(to_log_units(log_e), FALSE_SHARE)]
    return float(np.isin(accounts, found).mean())
