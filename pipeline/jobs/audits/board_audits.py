"""Runs every audit on the input read from a store, and collects findings and reports."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.audits import graph_health, lockstep, prompts, sampling, task_mix
from pipeline.audits.finding import Finding
from pipeline.audits.second_opinion import second_opinion
from pipeline.audits.top_churn import top_churn, top_churn_findings
from pipeline.errors import BadCounts, BadInput, RatingError, Usage
from pipeline.events.pseudonym import format_pseudonym
from pipeline.formats.published_boards import read_published_boards
from pipeline.jobs.audits import registry_audits
from pipeline.jobs.audits.audit_input import AuditInput
from pipeline.jobs.audits.vote_sums import ComparedVotes
from pipeline.ratings import (
    PairCounts,
    RankSwap,
    fewest_votes_to_replace_first,
    fit,
    neighbour_swaps,
    select_rated_models,
)
from pipeline.vocabulary.time import DAY

# A category with fewer votes is skipped: its shares are too uncertain. A month has 30 days here.
_LEAST_VOTES = 1_000
_MONTH = 30 * DAY
# The fewest votes that would swap two neighbours are computed for so many top places.
_PLACES = 3

Audit = Callable[[AuditInput], tuple[Sequence[Finding], Mapping[str, Any]]]


def run_audits(given: AuditInput, only: Collection[str] | None = None) -> tuple[list[Finding], dict[str, Any]]:
    """Run all audits, or those in `only`.

    Args:
        given: the input of the audits.
        only: names of the audits to run; None for all.

    Returns:
        Two values: the findings of all audits, and name of an audit → its report. The report of an audit that could not
        run, for example because there are too few votes, is {"not looked at": reason}.
    """
    findings: list[Finding] = []
    reports: dict[str, Any] = {}
    for name, audit in AUDITS.items():
        if only is not None and name not in only:
            continue
        try:
            found, report = audit(given)
        except (RatingError, BadCounts) as error:
            reports[name] = {"not looked at": str(error)}
            continue
        tests = int(report.get("tests", len(found)))
        findings += [replace(one, tests=max(tests, 1)) for one in found]
        reports[name] = {"findings": len(found), **report}
    return findings, reports


def _sampling(given: AuditInput) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    book = given.sampling_ledger
    lines = {kind: [asdict(line) for line in getattr(book, kind)] for kind in ("models", "providers", "licenses")}
    tests = sum(line.p_value is not None for of in (book.models, book.providers, book.licenses) for line in of)
    return sampling.sampling_findings(book), {
        "tests": tests,
        "battles": book.battles,
        "hhi": book.hhi,
        "gini": book.gini,
        **lines,
    }


def _graph(given: AuditInput) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    found = graph_health.graph_findings(given.counts)
    rated, waiting = select_rated_models(given.counts, least_share=0.0)
    return found, {**asdict(graph_health.graph_health(rated)), "left_out": [asdict(one) for one in waiting]}


def _fragility(given: AuditInput) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    rated, _ = select_rated_models(given.counts, least_share=0.0)
    fitted = fit(rated)
    swap = fewest_votes_to_replace_first(rated, fitted=fitted)
    places = [_swap(one) for one in neighbour_swaps(rated, _PLACES, fitted=fitted)]
    if swap is None:
        return (), {"fewest": None, "places": places}
    top = {"first": swap.above, "then_first": swap.below, "fewest": swap.votes, "share": swap.share}
    return (), {**top, "places": places}


def _swap(swap: RankSwap | None) -> dict[str, Any] | None:
    names = ("above", "below", "votes", "share", "gap")
    return None if swap is None else {name: getattr(swap, name) for name in names}


def _top(given: AuditInput) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    if len(given.boards) < 2:
        raise BadCounts(f"expected snapshots of at least two days, got {len(given.boards)}")
    found = top_churn(given.boards)
    changes = [{**asdict(one), "before": str(one.before), "day": str(one.day)} for one in found.changes]
    figures = {"overtakings": found.overtakings, "by_chance_at_most": found.by_chance, "p_value": found.p_value}
    return top_churn_findings(found), {"days": len(given.boards), "tests": 1, "changes": changes, **figures}


def _compared(given: AuditInput) -> ComparedVotes:
    if given.compared is None:
        raise BadCounts("expected the voters of the votes, got an input that was read without them")
    return given.compared


def _left_out(votes: ComparedVotes) -> Mapping[str, Any]:
    """Return a report's field with the number of older votes that were not compared; empty if there are none."""
    return {"older_votes_left_out": votes.left_out} if votes.left_out else {}


def _lockstep(given: AuditInput) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    votes = _compared(given)
    groups = lockstep.lockstep_of_cells(votes.voter, votes.what, votes.when, votes.prompt)
    found = lockstep.lockstep_findings(groups, len(np.unique(votes.voter)) if groups else 0, format_pseudonym)
    return found, {"groups": len(groups), "tests": 1, **_left_out(votes)}


def _prompts(given: AuditInput) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    votes = _compared(given)
    asked = votes.prompt != 0
    month, prompt = votes.when // (_MONTH // lockstep.BUCKET), votes.prompt
    if not asked.all():
        month, prompt = month[asked], prompt[asked]
    months = prompts.prompt_duplication(month, prompt)
    return prompts.prompt_findings(months), {"months": [asdict(month) for month in months], **_left_out(votes)}


def _task_mix(given: AuditInput) -> tuple[Sequence[Finding], Mapping[str, Any]]:
    tasks = [name for name, n in given.votes.categories().items() if name and n >= _LEAST_VOTES]
    if len(tasks) < 2:
        raise BadCounts(f"expected two categories of at least {_LEAST_VOTES} votes, got {len(tasks)}")
    of_task = {task: given.votes.counts(task) for task in tasks}
    kept = select_rated_models(PairCounts.merge(of_task.values()), least_share=0.0)[0].models
    codes = [given.models.index(name) for name in kept]
    parts = {given.categories.get(task, str(task)): counts.subset(codes) for task, counts in of_task.items()}
    found = task_mix.task_mix(parts)
    return task_mix.task_mix_findings(found), {"tasks": list(parts), "pairs": len(found.reordered)}


def compare_second_board(given: AuditInput, path: Path) -> dict[str, Any]:
    """Compare the order of models on this board with their order on another board.

    Args:
        given: the input of the audits, which has the board of this store.
        path: a file with published snapshots of the other board. Only the newest snapshot is compared.

    Returns:
        The fields of `BoardAgreement`, such as the number of common models and Kendall's τ. If the boards cannot be
        compared, {"not looked at": reason}.

    Raises:
        Usage: the file does not exist.
        BadInput: the file cannot be read.
    """
    if not path.is_file():
        raise Usage(f"expected another board's snapshots, got no file {path}")
    snapshots = next(iter(read_published_boards(path).values()))[-1]
    ours = {model: score.rating for model, score in given.scores.items()}
    try:
        return asdict(second_opinion(ours, dict(zip(snapshots.models, snapshots.score.tolist(), strict=True))))
    except BadInput as error:
        return {"not looked at": str(error)}


AUDITS: dict[str, Audit] = {
    "variant_churn": registry_audits.audit_variant_churn,
    "best_of_n": registry_audits.audit_best_of_n,
    "score_retraction": registry_audits.audit_retractions,
    "version_mismatch": registry_audits.audit_versions,
    "benchmark_claim": registry_audits.audit_claims,
    "perturbation_gap": registry_audits.audit_perturbations,
    "arena_gap": registry_audits.audit_arena_gap,
    "sampling_fairness": _sampling,
    "graph_health": _graph,
    "fragility": _fragility,
    "top_churn": _top,
    "lockstep": _lockstep,
    "prompt_duplication": _prompts,
    "task_mix": _task_mix,
}
"""Name of an audit → its function. e-LOND tests the audits in this order, each as one family.

The findings and alerts of an audit have the name of the audit.
"""

PROVIDER_AUDITS = frozenset(
    {
        "variant_churn", "best_of_n", "score_retraction", "version_mismatch", "benchmark_claim", "perturbation_gap",
        "arena_gap", "sampling_fairness",
    }
)  # fmt: skip
"""The names of the audits whose findings are about a provider or a model."""
