"""Checks which sides the models of a board were shown on, and states how the votes spread over models and voters.

Sides: a model is shown first in x of its n battles. Null hypothesis: x ~ Bin(n, 1/2). The p-value is twice the smaller
exact tail, times the number of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import bdtr, bdtrc

from pipeline.audits import shares
from pipeline.report.evidence.evidence_section import EvidenceFinding, EvidenceSection
from pipeline.report.evidence.evidence_tests import SIDES, TEST_ALPHA
from pipeline.report.report_votes import ReportVotes

_HUNDREDTH = 100


def sides(votes: ReportVotes) -> EvidenceSection:
    """Test whether models are shown equally often on both sides, and return the section about it."""
    if votes.position is None or not (votes.position != 0).any():
        return SIDES.unanswered(
            "nearly every pair stands in one order in the file, so its sides are not those of a screen"
        )
    told = votes.position != 0
    a, b = votes.model_a[told], votes.model_b[told]
    first = np.where(votes.position[told] > 0, a, b)
    size = len(votes.models)
    x = np.bincount(first, minlength=size)
    n = np.bincount(a, minlength=size) + np.bincount(b, minlength=size)
    tails = np.minimum(bdtr(x, n, 0.5), np.where(x > 0, bdtrc(np.maximum(x - 1, 0), n, 0.5), 1.0))
    p = np.minimum(2 * tails, 1.0) * size
    found = [_finding(votes.models[k], int(x[k]), int(n[k]), float(p[k])) for k in np.flatnonzero(p < TEST_ALPHA)]
    return SIDES.answered(
        found, f"Each of the {size:,} models is shown first in about half of its battles.", models=size
    )


def _finding(model: str, x: int, n: int, p: float) -> EvidenceFinding:
    return EvidenceFinding(
        kind="model", subject=model, direction="on one side more often", odds=1 / max(p, 1e-300), votes=n,
        sentence=f"{model} is shown first in {x:,} of its {n:,} battles, {x / n:.1%}: its side was "
        "not drawn at random.",
        details={"first": x, "share": x / n, "p_value": p},
    )  # fmt: skip


def spread_of_votes(votes: ReportVotes) -> dict[str, Any]:
    """Return how the votes spread over models and voters, as a dictionary of plain values.

    The values are the votes per model, the model with most votes, and the Gini coefficient of the models' votes. If
    voters are known, the number of voters and the shares of the busiest voters are added.
    """
    per_model = np.bincount(np.concatenate([votes.model_a, votes.model_b]), minlength=len(votes.models))
    most = int(per_model.argmax())
    facts: dict[str, Any] = {
        "votes_per_model": {
            "least": int(per_model.min()), "median": float(np.median(per_model)), "most": int(per_model[most]),
        },
        "most_shown": {"model": votes.models[most], "share_of_votes": int(per_model[most]) / len(votes)},
        "gini_of_models": shares.gini(per_model.tolist()),
    }  # fmt: skip
    voter = votes.known("voter")
    if voter is not None:
        per_voter = np.sort(np.bincount(voter[voter >= 0]))[::-1]
        per_voter = per_voter[per_voter > 0]
        busiest = max(1, len(per_voter) // _HUNDREDTH)
        facts["voters"] = len(per_voter)
        facts["busiest_voter_share"] = int(per_voter[0]) / len(votes)
        facts["busiest_hundredth_share"] = int(per_voter[:busiest].sum()) / len(votes)
        facts["votes_without_voter"] = int((voter < 0).sum())
    return facts


def spread_sentences(facts: Mapping[str, Any]) -> list[str]:
    """Return sentences about how the votes spread over models and voters.

    Args:
        facts: the result of `spread_of_votes`.
    """
    each, most = facts["votes_per_model"], facts["most_shown"]
    if each["least"] == each["most"]:
        told = [f"Each model has {each['most']:,} vote{'s' * (each['most'] != 1)}."]
    else:
        told = [
            f"Models have {each['least']:,} to {each['most']:,} votes, the median model {each['median']:,.0f}; "
            f"{most['model']} is in {most['share_of_votes']:.1%} of all votes."
        ]
    if "voters" in facts:
        voters, alone = facts["voters"], facts["busiest_voter_share"]
        if voters < 2 * _HUNDREDTH:  # the busiest hundredth is one voter
            told.append(f"The busiest of {voters:,} voters cast {alone:.1%} of the votes.")
        else:
            told.append(
                f"The busiest hundredth of {voters:,} voters cast {facts['busiest_hundredth_share']:.1%} of the "
                f"votes, the busiest one {alone:.1%}."
            )
    if facts.get("votes_without_voter"):
        told.append(f"{facts['votes_without_voter']:,} votes name no voter.")
    return told
