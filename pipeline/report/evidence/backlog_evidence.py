"""Searches the votes of a report for manipulation: by single voters, by groups or cohorts, or in some weeks.

The votes are evaluated as a backlog: all at once, after they were cast. The functions of `pipeline.backlog` do this;
they also evaluate the imported votes of a store. The voters are split into folds. The voters of a fold are compared
with a fit of the votes of the other folds (cross-fitting).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.backlog import BacklogEvaluation, BacklogFindings, BacklogVotes, VoterFinding, cohorts
from pipeline.backlog.cohorts import AGE, AGE_NAMES, NETWORK, PROMPT, SESSION, Cohorts
from pipeline.backlog.evaluation import Nested
from pipeline.backlog.pool_rounds import PooledFinding
from pipeline.backlog.pooled_groups import GroupFinding
from pipeline.backlog.voter_habits import HabitColumns
from pipeline.report.evidence.evidence_section import EvidenceFinding, EvidenceSection, capital, count, odds_of
from pipeline.report.evidence.evidence_tests import (
    COHORT,
    GROUP,
    HABIT,
    POOLED_ALPHA,
    POOLED_KINDS,
    RANDOM_CLICKS,
    SINGLE_VOTER,
    STYLES,
    UNUSUAL_VOTER,
    WEEKS,
)
from pipeline.report.evidence.random_labels import RandomLabels
from pipeline.report.evidence.voter_findings import (
    LabelOf,
    average,
    habit_finding,
    kept,
    least,
    random_click_finding,
)
from pipeline.report.evidence.week_evidence import style_section, week_section
from pipeline.report.report_votes import NO_TIME, ReportVotes
from pipeline.vocabulary.arrays import Int32, Int64
from pipeline.vocabulary.large_arrays import keep
from pipeline.vocabulary.outcomes import OUTCOME_CODES
from pipeline.vocabulary.time import format_rfc3339

OF_BACKLOG = (SINGLE_VOTER, UNUSUAL_VOTER, RANDOM_CLICKS, HABIT, GROUP, COHORT, WEEKS, STYLES)
"""The tests that `BacklogEvidence` makes, in the order in which `sections` returns their results."""


@dataclass(frozen=True)
class BacklogEvidence:
    """Evaluates the votes of a report as a backlog: all at once, each voter against the votes of other voters.

    Attributes:
        given: the votes of the report.
        labels: gives labels to voters.
        key: the key of the hash that assigns voters to folds.
        nested: when the nested form is computed: "never", "if_found" or "always" (`BacklogEvaluation`). In that form,
            a fold is compared with a fit whose left-out voters were chosen without the votes of this fold.
        progress: called after each pass over some of the votes.
    """

    given: ReportVotes
    labels: RandomLabels
    key: bytes
    nested: Nested = "if_found"
    progress: Callable[[], None] = lambda: None

    def sections(self) -> list[EvidenceSection]:
        """Evaluate the votes, and return a section for each kind of test."""
        found, votes = self._evaluate()
        compared = int(found.evaluated.sum())
        if not compared:
            reason = "the votes of the other voters are too few, or do not connect the models"
            return [test.unanswered(reason) for test in OF_BACKLOG]
        label = self._labels_of(votes)
        known = {"voters": compared, "voters_not_comparable": len(votes.names) - compared, "rounds": found.rounds}
        sure = {one.voter for one in kept(found.voters, compared, least)}
        pushers = [one for one in found.voters if one.voter in sure]
        unusual = [one for one in kept(found.voters, compared, average) if one.voter not in sure]
        groups, followers = self._pools(found, pushers, votes, label)
        return [
            SINGLE_VOTER.answered(
                [self._voter(one, least(one), label) for one in pushers],
                f"None of {compared:,} voters votes in a way that honest tastes do not explain.",
                **known,
            ),
            UNUSUAL_VOTER.answered(
                [self._voter(one, one.e_value, label) for one in unusual] + followers,
                "No voter has an unusual taste.",
                **known,
            ),
            RANDOM_CLICKS.answered(
                [random_click_finding(one, label) for one in kept(found.random, compared, average)],
                "No voter seems to click at random.",
                **known,
            ),
            HABIT.answered(
                [habit_finding(one, label) for one in kept(found.habits, compared, average)],
                "No voter prefers a style of answers, or calls both bad, more than honest habits explain.",
                **known,
            ),
            GROUP.answered(groups, "No group of voters with few votes each promotes or demotes a model.", **known),
            self._cohort_section(found),
            week_section(self.given, found.periods),
            style_section(self.given, found.styles),
        ]

    def _evaluate(self) -> tuple[BacklogFindings, BacklogVotes]:
        given = self.given
        assert given.voter is not None  # noqa: S101  # the caller has checked it
        at = np.arange(len(given)) if given.time is None else given.time
        network = None if given.network is None else keep((given.network + 1).astype(np.int32))
        votes = BacklogVotes.from_columns(
            len(given.models), keep(given.voter + 1), given.model_a, given.model_b, given.outcome, at, network
        )
        both_bad = given.outcome[votes.row] == OUTCOME_CODES["both_bad"]
        style = np.zeros((len(votes.row), 5), dtype=np.int8) if given.style is None else given.style[votes.row]
        evaluation = BacklogEvaluation(
            votes, self.key, self.nested, self._cohorts(votes), alpha=POOLED_ALPHA, progress=self.progress,
            habits=HabitColumns(keep(style), both_bad), providers=_providers(given),
        )  # fmt: skip
        return evaluation.run(), votes

    def _labels_of(self, votes: BacklogVotes) -> LabelOf:
        """Return a function from the position of a voter in the backlog to the voter's label.

        The label belongs to the voter's number in the report. This number differs from the position if some voter of
        the file has no vote in the report.
        """
        return lambda voter: self.labels.of("voter", int(votes.names[voter]) - 1)

    def _cohorts(self, votes: BacklogVotes) -> list[Cohorts]:
        """Return the kinds of cohorts that the columns of the file allow.

        A cohort is a group of votes that have something in common, such as their network.
        """
        given, found = self.given, []
        if given.network is not None:
            found.append(cohorts.by_first_vote(NETWORK, votes, votes.network))
        if given.voter_since is not None and given.time is not None:
            found.append(cohorts.by_age(votes, given.voter_since[votes.row]))
        for kind, column in ((PROMPT, given.prompt), (SESSION, given.session)):
            if column is not None:
                found.append(cohorts.by_label(kind, votes, _from_one(column[votes.row])))
        return found

    def _voter(self, one: VoterFinding, odds: float, label_of: LabelOf) -> EvidenceFinding:
        best = one.likeliest[0]
        model = self.given.models[best["model"]] if "model" in best else None
        label = label_of(one.voter)
        does = f"{best['what']} {model}" if model is not None else f"votes as no honest voter would: {best['what']}"
        sentence = f"{capital(label)} {does}, in {count(one.votes, 'vote')}."
        details = {
            "ties": one.ties, "model": model, "explanation": best["what"], "explained_share": best["share"],
            "odds_bands": one.band, "odds_cells": one.cells, "odds_nested": one.strict,
        }  # fmt: skip
        return EvidenceFinding(
            kind="voter", subject=label, direction=does, sentence=sentence, odds=odds, votes=one.votes,
            details=details,
        )  # fmt: skip

    def _pools(
        self, found: BacklogFindings, pushers: Sequence[VoterFinding], votes: BacklogVotes, label_of: LabelOf
    ) -> tuple[list[EvidenceFinding], list[EvidenceFinding]]:
        """Return two lists of findings about groups of voters.

        The second list has the groups of accomplices whose model is not the model of any voter in `pushers`. The first
        list has all other groups.

        Args:
            found: the findings of the backlog.
            pushers: the voters who are named, because their evidence is strong enough.
            votes: the votes of the backlog.
            label_of: function from the position of a voter in the backlog to the voter's label.
        """
        targets = {one.likeliest[0].get("model") for one in pushers}
        groups: list[EvidenceFinding] = []
        followers: list[EvidenceFinding] = []
        for one in found.pools:
            known = not one.accomplices or one.model in targets
            (groups if known else followers).append(self._pool(one, votes, label_of))
        return groups, followers

    def _pool(self, one: PooledFinding, votes: BacklogVotes, label_of: LabelOf) -> EvidenceFinding:
        model, some = self.given.models[one.model], len(one.members)
        verb = _verb(one.direction) + "s" * (some == 1)
        if one.accomplices:
            sentence = f"{count(some, 'more voter')} {verb} {model} as a voter does who was found alone"
        elif some:
            sentence = f"{count(some, 'voter')} with few votes each {verb} {model} together"
        else:
            sentence = f"Voters with few votes each {verb} {model} together; none of them can be named"
        sentence += f", in {count(one.votes, 'vote')}." if some else "."
        details = {
            "voters": len(one.members), "expected_voters": one.expected, "accomplices": one.accomplices,
            "labels": [label_of(voter) for voter in one.members[:100].tolist()],
            "period": _period(self.given, votes, one.members),
        }  # fmt: skip
        return EvidenceFinding(
            kind="model", subject=model, direction=f"{_verb(one.direction)}d by a group", sentence=sentence,
            odds=odds_of(one.log_e), votes=one.votes, details=details,
        )  # fmt: skip

    def _cohort_section(self, found: BacklogFindings) -> EvidenceSection:
        if not found.groups:
            return COHORT.unanswered("the file names no network, prompt, session or age of an account")
        kinds = ", ".join(POOLED_KINDS[kind] for kind in found.groups)
        findings = [self._cohort(kind, one) for kind, several in found.groups.items() for one in several]
        return COHORT.answered(
            findings, f"No cohort promotes or demotes a model; compared were {kinds}.", kinds=list(found.groups)
        )

    def _cohort(self, kind: str, one: GroupFinding) -> EvidenceFinding:
        model = self.given.models[one.model]
        who = AGE_NAMES[one.group - 1] if kind == AGE else self.labels.of(kind, one.group)
        where = f"voters, {who}," if kind == AGE else f"voters in {who}" if kind != PROMPT else f"voters under {who}"
        sentence = f"{one.voters:,} {where} {_verb(one.direction)} {model}; {len(one.members):,} of them can be named."
        return EvidenceFinding(
            kind="model", subject=model, direction=f"{_verb(one.direction)}d by {who}", sentence=sentence,
            odds=odds_of(one.log_e) / one.tests, votes=0,
            details={
                "cohort": kind, "label": who, "voters": one.voters, "named": len(one.members), "tests": one.tests,
            },
        )  # fmt: skip


def _verb(direction: str) -> str:
    return "promote" if direction == "promotes" else "demote"


def _from_one(label: Int64) -> Int32:
    """Return labels + 1 as int32. Labels from 0 on become numbers from 1 on, and −1 (unknown) becomes 0."""
    return (label + 1).astype(np.int32)


def _period(given: ReportVotes, votes: BacklogVotes, members: Int64) -> list[str] | None:
    """Return the days of the first and the last vote of some voters, such as "2024-08-14"; None without times.

    `members` has the positions of these voters in `votes.names`.
    """
    if given.time is None:
        return None
    at = votes.at[np.isin(votes.voter, members) & (votes.at != NO_TIME)]
    if not len(at):
        return None
    return [format_rfc3339(int(time))[:10] for time in (at.min(), at.max())]


def _providers(given: ReportVotes) -> Int64 | None:
    """Return int64[K], a number for each model's provider: the position of the provider's first model; −1 if unknown.

    None if no providers are known.
    """
    if given.provider is None:
        return None
    first: dict[int, int] = {}
    for model, provider in enumerate(given.provider.tolist()):
        first.setdefault(provider, model)
    return np.array([-1 if one < 0 else first[one] for one in given.provider.tolist()], dtype=np.int64)
