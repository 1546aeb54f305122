"""Reads a file of votes for a rating or a report, with notes on what was left out and how the file was read."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BadCounts, RatingError
from pipeline.formats import ColumnMapping
from pipeline.formats.battle_file import BattleFile, join_files, open_battles
from pipeline.formats.battle_tables import has_text, read_battles
from pipeline.formats.containers import readable_path
from pipeline.formats.format_notes import format_notes, repeat_notes
from pipeline.formats.identity_leaks import shipped_leak_check
from pipeline.formats.left_out import EXPLANATIONS, LeftOut
from pipeline.formats.record_places import describe_record, plain_detail
from pipeline.formats.record_reader import RecordCheck
from pipeline.formats.record_text import TEXT_COLUMNS
from pipeline.formats.row_estimate import estimate_rows
from pipeline.formats.vote_collector import ALL_COLUMNS, NeededColumns
from pipeline.ratings.battle_columns import BattleColumns
from pipeline.ratings.battle_ratings import RatingOptions
from pipeline.ratings.method import RULES, SENTENCES, Method, find_counted
from pipeline.ratings.prompt_samples import outside_samples
from pipeline.settings.method_file import SHIPPED, load_method
from pipeline.vote_files.comparable_votes import select_comparable
from pipeline.vote_files.missing_values import missing_notes
from pipeline.vote_files.similar_names import similar_name_notes

# Columns that were not read that a note names; --json has all.
_NAMED = 6


@dataclass(frozen=True, slots=True)
class VoteInput:
    """The votes of a file that can be rated, and notes about how the file was read.

    Attributes:
        battles: the votes that count.
        notes: the notes, as sentences for people.
        document: the facts in the notes, as data for `--json`.
        not_rated: phrases that say how many records have no part in the ratings, and why. Together with the votes in
            `battles`, they account for all records of the file.
        refused: the error to raise if there is no vote, or no group of models has enough votes for a rating; else None.
    """

    battles: BattleColumns
    notes: list[str]
    document: dict[str, Any] = field(default_factory=dict)
    not_rated: list[str] = field(default_factory=list)
    refused: RatingError | None = None


def read_vote_input(
    path: Path | Sequence[Path],
    mapping: ColumnMapping,
    *,
    skip_bad: bool = False,
    method: str = "",
    needs: RatingOptions | None = None,
    more: frozenset[str] = frozenset(),
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]] = lambda _: nullcontext(lambda _: None),
) -> VoteInput:
    """Read those votes of a file that can be rated: the method counts them, and their models can be compared.

    Args:
        path: a file, a folder of shards, a glob, or "-" for standard input. Several paths are read as one file.
        mapping: names of columns and outcomes that the user gave.
        skip_bad: True leaves out invalid records. False raises an error for the first one.
        method: "arena" or "" for the shipped method, "none" to count every vote, or the path of a TOML file.
        needs: the options of the rating. Columns that the rating does not need are left out. None for all columns.
        more: names in NUMBERS of further columns that a report needs, read only if `needs` is None. With any name,
            prompts are collected as well, and no note quotes a value of a record.
        progress: a function that takes the estimated number of rows, 0 if unknown. It returns a context manager whose
            value is a function. This function is called with the number of records read since its last call.

    Raises:
        UnknownFormat: the format of the file is not known.
        BadRecord: a record is not a valid vote.
        BadInput: the file or the method is not valid, or `needs` asks for voters and no vote names one.
    """
    rules, left_out = load_method(method or SHIPPED, "--method"), LeftOut(skip_bad)
    file, check, read = _read(path, mapping, rules, left_out, _needed(needs, rules, more), progress)
    read = _with_frequent_prompts(read, rules, keep=bool(more))
    repeated, conflicting, more_categories = read.repeated, read.conflicting, read.more_categories
    records = len(read) + sum(left_out.counts.values()) + repeated
    counted, by_rule = find_counted(read.flags, len(read), rules)
    if needs is not None:
        read = read.narrowed(voters=_needs_voters(needs), style=needs.style, group=needs.group)
    battles = read if counted.all() else read.select(counted)
    del read, counted  # as large as what the method leaves
    _require_voters(battles, needs, file)
    against_itself = _name_self_battles(left_out, rules, by_rule)
    among = select_comparable(battles)
    also_read: frozenset[str] = TEXT_COLUMNS if check else frozenset()
    notes = format_notes(file, also_read, _NAMED) + left_out_notes(left_out, file, quote=not more)
    notes += _method_notes(rules, by_rule, against_itself) + among.notes + similar_name_notes(battles.models)
    notes += repeat_notes(repeated, conflicting) + _category_notes(more_categories) + missing_notes(battles, file)
    document = {
        "format": file.form.name,
        "records": records,
        "unread_columns": [column for column in file.unread if column not in also_read],
        "left_out": left_out.document(),
        "method": {"name": rules.name, "left_out": by_rule},
        "unrated": among.unrated,
        "repeated_ids": repeated,
        "conflicting_ids": conflicting,
        "notes": notes,
    }
    left = _left_out_phrases(left_out, rules.name, by_rule) + _phrases(repeated, "with the id of an earlier one")
    left += _phrases(among.unrated["votes"], "on models that cannot be compared")
    refused = among.refused if len(battles) else _no_votes(file, records, left)
    return VoteInput(among.battles, notes, document, left, refused)


def _no_votes(file: BattleFile, records: int, left_out: list[str]) -> BadCounts:
    """Return the error about a file without a vote that counts."""
    name = file.parts[0].container.name if len(file.parts) == 1 else f"{len(file.parts):,} files"
    if not records:
        return BadCounts(f"{name}: expected at least one vote, found no record")
    found = f"{records:,} records: {', '.join(left_out)}"
    return BadCounts(f"{name}: expected at least one vote that counts, found {found}")


# Many parameters: those of `read_vote_input`, in another form.
def _read(
    path: Path | Sequence[Path],
    mapping: ColumnMapping,
    rules: Method,
    left_out: LeftOut,
    needed: NeededColumns,
    progress: Callable[[int], AbstractContextManager[Callable[[int], None]]],
) -> tuple[BattleFile, RecordCheck | None, BattleColumns]:
    """Open the files as one file and read it. Return the file, its text check (None if not needed) and the votes."""
    with ExitStack() as opened:
        sources = [opened.enter_context(readable_path(one)) for one in ([path] if isinstance(path, Path) else path)]
        file = join_files([open_battles(source, mapping) for source in sources])
        check = _text_check(rules) if has_text(file) else None
        with progress(estimate_rows(file)) as step:
            return file, check, read_battles(file, step, None, left_out, check, needed)


def _left_out_phrases(left_out: LeftOut, method: str, by_rule: dict[str, int]) -> list[str]:
    by_reason = [
        f"{count:,} left out ({EXPLANATIONS.get(reason, reason)})" for reason, count in left_out.counts.items()
    ]
    return _phrases(sum(by_rule.values()), f"left out by the method {method}") + by_reason


def _phrases(count: int, what: str) -> list[str]:
    return [f"{count:,} {what}"] if count else []


def _needs_voters(needs: RatingOptions) -> bool:
    return needs.by_voter or needs.influence > 0


def _require_voters(battles: BattleColumns, needs: RatingOptions | None, file: BattleFile) -> None:
    """Raise BadCounts if the options need voters and no vote names one."""
    if needs is None or not _needs_voters(needs) or battles.has_voters or not len(battles):
        return
    option = "--by-voter" if needs.by_voter else "--influence"
    columns = {part.form.texts["voter_id"].column for part in file.parts if "voter_id" in part.form.texts}
    found = (
        f"the values of {', '.join(sorted(columns))} identify nobody (they are empty, or the address of a proxy)"
        if columns
        else f"{file.parts[0].container.name} has no known column of voters"
    )
    raise BadCounts(
        f"{option} needs voters: {found}; `--columns voter_id=HEADER` names the column of voters, and without {option} "
        "the file is rated as it is"
    )


def _needed(needs: RatingOptions | None, rules: Method, more: frozenset[str]) -> NeededColumns:
    """Return the columns to collect: those that the rating options, the rules of the method and `more` need."""
    prompts = "frequent_prompt" in rules.rules or bool(more)
    if needs is None:
        return replace(ALL_COLUMNS, prompts=prompts, numbers=more)
    return NeededColumns(_needs_voters(needs), needs.style, frozenset(filter(None, [needs.group])), prompts)


def _text_check(rules: Method) -> RecordCheck | None:
    """Return the check of texts that the rules of a method need; None if no rule reads texts."""
    if "frequent_prompt" not in rules.rules:
        return shipped_leak_check() if "identity_leak" in rules.rules else None
    from pipeline.stream.near_prompts import NearPrompts  # noqa: PLC0415  # SciPy is slow to import
    from pipeline.stream.text_checks import TextChecks  # noqa: PLC0415

    return TextChecks(NearPrompts(b""))


def _with_frequent_prompts(read: BattleColumns, rules: Method, *, keep: bool) -> BattleColumns:
    """Flag the votes outside the samples of frequent prompts, if the method has a rule about them.

    Args:
        read: the votes with their prompts.
        rules: the method.
        keep: whether the result keeps the prompts.
    """
    if read.prompt is None or "frequent_prompt" not in rules.rules:
        return read if keep else replace(read, prompt=None)
    flag = np.where(read.prompt == 0, -1, outside_samples(read.prompt)).astype(np.int8)
    return replace(read, flags={**read.flags, "frequent_prompt": flag}, prompt=read.prompt if keep else None)


def _method_notes(rules: Method, by_rule: dict[str, int], against_itself: dict[str, int]) -> list[str]:
    """Return a sentence for each rule that left out votes: how many, and how many of them `--method none` would count.

    If no rule could be applied, the only sentence says so.
    """
    if rules.rules and not by_rule:
        stated = ", ".join(RULES[rule][0] for rule in rules.rules)
        return [
            f"no rule of the method {rules.name} could be applied, so that every vote counts: no record states any "
            f"of {stated}, and no texts show them"
        ]
    return [
        f"{count:,} vote{'s' * (count > 1)} {SENTENCES[rule]} {'were' if count > 1 else 'was'} left out by the method "
        f"{rules.name}{_counted_without(count, against_itself.get(rule, 0))}"
        for rule, count in by_rule.items()
        if count
    ]


def _counted_without(count: int, own: int) -> str:
    """Return the end of a sentence about left-out votes: how many of them `--method none` would count.

    Args:
        count: number of votes that a rule left out.
        own: how many of these are battles of a model against itself, which `none` does not count either.
    """
    if not own:
        return f" (--method none counts {'them' if count > 1 else 'it'})"
    return (
        f"; --method none counts {count - own:,} of them, {own:,} {'are' if own > 1 else 'is'} a model against itself"
    )


def _category_notes(more: int) -> list[str]:
    """Return a note about the categories that are too many to have boards of their own; `more` is their number."""
    if not more:
        return []
    return [
        f"{more:,} categories beyond the first 63 have no board of their own under --group category; "
        "their votes count in every other board"
    ]


def _name_self_battles(left_out: LeftOut, rules: Method, by_rule: dict[str, int]) -> dict[str, int]:
    """Count battles of a model against itself under the first rule that leaves them out.

    Args:
        left_out: the records that were left out, with the battles of a model against itself.
        rules: the method.
        by_rule: rule → number of votes that it leaves out. The counts are added here.

    Returns:
        Rule → number of these battles.
    """
    rows, flags = left_out.flagged_self_battles()
    counted, named = find_counted(flags, len(rows), rules)
    for rule, count in named.items():
        by_rule[rule] = by_rule.get(rule, 0) + count
    left_out.forget_self_battles(~counted)
    return named


def left_out_notes(left_out: LeftOut, file: BattleFile, *, quote: bool = True) -> list[str]:
    """Return sentences that say how many records were left out and why, one for each reason.

    Args:
        left_out: counts the records that were left out.
        file: the file that was read.
        quote: whether a sentence may quote the value that is wrong.
    """
    return [_left_out_note(reason, count, left_out, file, quote) for reason, count in left_out.counts.items()]


def _left_out_note(reason: str, count: int, left_out: LeftOut, file: BattleFile, quote: bool) -> str:
    row, detail = left_out.first[reason]
    many = f"{count:,} record{'s were' if count > 1 else ' was'} left out"
    what = EXPLANATIONS.get(reason) or (f"{reason}: {plain_detail(file, detail)}" if quote else reason)
    return f"{many}: {what} (the first is {describe_record(file, row)})"
