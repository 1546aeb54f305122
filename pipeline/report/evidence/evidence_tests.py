"""Declares the tests for manipulation in a report: the question of each test, and how often the test errs."""

from __future__ import annotations

from pipeline.backlog.cohorts import AGE, NETWORK, PROMPT, SESSION
from pipeline.report.evidence.discoveries import FALSE_SHARE
from pipeline.report.evidence.evidence_section import BURSTS, COHORTS, SAMPLING, VOTERS, EvidenceTest

POOLED_KINDS = {
    NETWORK: "networks",
    AGE: "ages of accounts",
    PROMPT: "votes under one prompt",
    SESSION: "sessions of several voters",
}
"""Kind of cohorts → its name for people."""

POOLED_ALPHA = 0.05 / (3 + len(POOLED_KINDS))
"""The tolerated probability of a false finding in each of seven families of tests. These probabilities add up to 0.05.

The families are groups of voters, the four kinds of cohorts, results by weeks, and styles by weeks."""

TEST_ALPHA = 0.01
"""The tolerated probability that one test about lockstep, bursts or sides has any false finding."""

MEASURED = (
    "“Measured” rates are those of simulated and of real honest voters; they are not proved. Voters are judged "
    "afterwards, by cross-fitting: with the votes of other voters only."
)
"""A sentence for readers of a report: which error rates are measured and not proved."""

_MEASURED = "measured."
_POOLED = f"at most {POOLED_ALPHA:.1%} of honest boards have any such finding; {_MEASURED}"

SINGLE_VOTER = EvidenceTest(
    id="voters",
    group=VOTERS,
    accuses=True,
    title="Voters who push a model",
    question="Does a voter choose winners as no honest voter would?",
    error_rate=f"at most {FALSE_SHARE:.0%} of the voters named here are expected to be honest; {_MEASURED}",
)
UNUSUAL_VOTER = EvidenceTest(
    id="unusual_voters",
    group=VOTERS,
    accuses=False,
    title="Voters with an unusual taste",
    question="Does a voter choose winners as few honest voters would?",
    error_rate=f"at most {FALSE_SHARE:.0%} of the voters named here are expected to have a taste within the band of "
    "honest ones, but honest tastes may be wider; only voters whom no mixture of honest tastes explains are named "
    "above.",
)
RANDOM_CLICKS = EvidenceTest(
    id="random_clicks",
    group=VOTERS,
    accuses=False,
    title="Voters who click at random",
    question="Does a voter not read the answers?",
    error_rate=f"at most {FALSE_SHARE:.0%} of the voters named here are expected to read them; {_MEASURED}",
)
HABIT = EvidenceTest(
    id="habits",
    group=VOTERS,
    accuses=False,
    title="Voters with a habit",
    question="Does a voter choose by style, or press “both bad”, more than honest habits explain?",
    error_rate=f"at most {FALSE_SHARE:.0%} of the voters named here are expected to be like others; {_MEASURED}",
)
FAST_VOTER = EvidenceTest(
    id="fast_voters",
    group=VOTERS,
    accuses=True,
    title="Voters faster than anybody reads",
    question="Does a voter vote again and again within seconds?",
    error_rate="at most one false finding in 1,000,000 votes of somebody who votes twice a minute without a pause.",
)
GROUP = EvidenceTest(
    id="groups",
    group=COHORTS,
    accuses=True,
    title="Groups of voters with few votes each",
    question="Do voters who are too small to be found alone push one model together?",
    error_rate=_POOLED,
)
COHORT = EvidenceTest(
    id="cohorts",
    group=COHORTS,
    accuses=True,
    title="Cohorts",
    question="Do the voters of one network, one prompt, one session or accounts of one age push a model?",
    error_rate=f"for each kind of cohorts, {_POOLED}",
)
LOCKSTEP = EvidenceTest(
    id="lockstep",
    group=COHORTS,
    accuses=True,
    title="Voters in lockstep",
    question="Do voters cast the same votes at the same time?",
    error_rate=f"at most {TEST_ALPHA:.0%} of boards with independent voters have any such finding. Friends who test "
    "the same prompt together look like a group.",
)
SHARE_BURST = EvidenceTest(
    id="share_bursts",
    group=BURSTS,
    accuses=False,
    title="Bursts of votes on one model",
    question="Does a model get more than three times its share of the votes within an hour or a day?",
    error_rate=f"at most {TEST_ALPHA:.0%} of boards have any such finding if models are drawn as in the days around; "
    f"{_MEASURED} A file does not say whether the board itself showed the model more often.",
)
WEEKS = EvidenceTest(
    id="weeks",
    group=BURSTS,
    accuses=False,
    title="Models by weeks",
    question="Does a model win more or less often in four weeks than in all its other weeks?",
    error_rate=_POOLED,
)
STYLES = EvidenceTest(
    id="styles",
    group=BURSTS,
    accuses=False,
    title="Style of answers by weeks",
    question="Does a model answer at more length, or with more lists, in four weeks than in all its other weeks?",
    error_rate=_POOLED,
)
SIDES = EvidenceTest(
    id="sides",
    group=SAMPLING,
    accuses=False,
    title="Sides",
    question="Is each model shown first in half of its battles?",
    error_rate=f"at most {TEST_ALPHA:.0%} of boards that draw the sides at random have any such finding; proved.",
)
