"""Reads votes from a file or a table in a notebook, and says which records were left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from leaderboard_integrity import html_text
from leaderboard_integrity.call_words import errors_in_call_words, in_call_words, with_notes
from leaderboard_integrity.charts import TOP, pair_chart
from leaderboard_integrity.result_table import ResultTable
from leaderboard_integrity.vote_sources import VoteData, VoteFiles, vote_files
from pipeline import settings
from pipeline.errors import Usage
from pipeline.formats import ColumnMapping
from pipeline.ratings.battle_columns import NUMBERS, BattleColumns
from pipeline.ratings.battle_ratings import RatingOptions
from pipeline.report.report import ReportSource
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.outcomes import OUTCOMES
from pipeline.vote_files.report_source import report_source
from pipeline.vote_files.vote_input import VoteInput, read_vote_input

if TYPE_CHECKING:
    import altair as alt

_NO_TIME = np.iinfo(np.int64).min
_FIRST_ROWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """The options by which votes are read. Each attribute is the argument of `read` with the same name."""

    columns: Mapping[str, str | None] | None = None
    outcomes: Mapping[Any, str] | None = None
    winner_is: str = ""
    skip_bad: bool = False
    method: str = ""

    def mapping(self) -> ColumnMapping:
        """Return the options about columns and outcomes in the form that the reader of files takes.

        The networks of proxies come from the settings.

        Raises:
            Usage: `columns` or `outcomes` is not a mapping.
        """
        for name, words in (("columns", self.columns), ("outcomes", self.outcomes)):
            if words is not None and not isinstance(words, Mapping):
                raise Usage(f"{name}: expected a dict, got {words!r}")
        columns = {field: "" if header is None else str(header) for field, header in (self.columns or {}).items()}
        outcomes = {str(theirs): ours for theirs, ours in (self.outcomes or {}).items()}
        given = ColumnMapping.checked(columns, outcomes, self.winner_is)
        return replace(given, proxies=settings.load().proxy_networks)

    def command_options(self) -> dict[str, str | bool]:
        """Return these options as options of the command line: name of an option → its value."""
        columns, outcomes = (
            ",".join(f"{name}={'' if value is None else value}" for name, value in (one or {}).items())
            for one in (self.columns, self.outcomes)
        )
        return {
            "--columns": columns, "--outcomes": outcomes, "--winner-is": self.winner_is, "--skip-bad": self.skip_bad,
            "--method": self.method,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Votes(ResultTable):
    """The result of `read`: the votes of a file or a table.

    Attributes:
        battles: the votes that count, as arrays of codes.
        records: number of all records.
        left_out: phrases that say how many records do not count, and why. Every record either counts as a vote or
            is counted in one of these phrases.
        notes: sentences that say how the records were read.
        document: facts about the reading as JSON types, such as numbers of records and reasons.
        input: the object that the reader of files returned.
        source: where the votes come from, for a report: files with their hashes, and how they were read.
    """

    battles: BattleColumns
    records: int
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    document: Mapping[str, Any]
    input: VoteInput
    source: ReportSource

    def __len__(self) -> int:
        """Return the number of votes that count."""
        return len(self.battles)

    def __repr__(self) -> str:
        """Return a line that says how many records count, and why the others do not."""
        return f"Votes({self.account})"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, sorted."""
        return self.battles.models

    @property
    def account(self) -> str:
        """A line that says how many records count, and why the others do not."""
        counted = f"{len(self):,} votes on {len(self.models):,} models"
        return f"{self.records:,} records: {', '.join([counted, *self.left_out])}"

    def to_arrow(self) -> pa.Table:
        """Return the votes that count as an Arrow table with the columns model_a, model_b and winner.

        If the records have them, the table also has the columns voter_id, category, categories, language, turn and
        cast_at (UTC).
        """
        battles = self.battles
        names = pa.array(battles.models, pa.string())
        columns = {
            "model_a": names.take(pa.array(battles.a)),
            "model_b": names.take(pa.array(battles.b)),
            "winner": pa.array(OUTCOMES).take(pa.array(battles.outcome)),
        }
        if battles.has_voters:
            columns["voter_id"] = _named(battles.voters, battles.voter)
        for name, (labels, codes) in battles.groups.items():
            if labels:
                columns[name] = _named(labels, codes)
        if battles.categories[0]:
            columns["categories"] = _label_lists(*battles.categories)
        return pa.table(columns | _numbers(battles))

    def plot(self, top: int = TOP) -> alt.Chart:
        """Return an Altair heatmap of the number of votes on each pair of models.

        Args:
            top: largest number of models that are drawn, those with most votes.

        Raises:
            MissingExtra: Altair is not installed.
        """
        counts = self.battles.pair_counts()
        per_model = counts.battles_per_model()
        order = np.argsort(-per_model, kind="stable")[:top]
        pairs = np.zeros((len(self.models), len(self.models)), dtype=np.int64)
        np.add.at(pairs, (self.battles.a, self.battles.b), 1)
        pairs += pairs.T
        cells = [
            {"model": self.models[i], "opponent": self.models[j], "votes": int(pairs[i, j])}
            for i in order
            for j in order
            if i != j
        ]
        of = f", the {top:,} models with most votes" if len(self.models) > top else ""
        return pair_chart(cells, [self.models[k] for k in order], f"Votes on each pair{of}")

    def _repr_html_(self) -> str:
        first = self.to_arrow().slice(0, _FIRST_ROWS)
        rows = [list(row.values()) for row in first.to_pylist()]
        shown = html_text.table(first.column_names, rows)
        return html_text.paragraphs([self.account]) + html_text.bullets(self.notes) + shown


# Many parameters: those of `integrity rate` about reading a file.
def read(
    data: VoteData,
    *,
    columns: Mapping[str, str | None] | None = None,
    outcomes: Mapping[Any, str] | None = None,
    winner_is: str = "",
    skip_bad: bool = False,
    method: str = "",
) -> Votes:
    """Read votes. The votes that count are those that `integrity rate` counts.

    Args:
        data: a path (a file, a folder of shards, or a glob), several paths that are read as one, or a table of pandas,
            polars, Arrow or any library with the Arrow C stream interface. The format is recognised by the columns.
        columns: field of a vote → header of its column in the data, such as `{"model_a": "left", "winner": "choice"}`.
            None or "" for a field that must not be read.
        outcomes: outcome in the data → its meaning (model_a, model_b, tie, both_bad), such as `{"left": "model_a"}`.
        winner_is: "name" if the column of the outcome has the name of the winning model.
        skip_bad: whether to leave out records that are no votes. If false, the first one is an error.
        method: "arena" (the default) for the shipped rules that leave votes out, "none" to count every vote, or the
            path of a TOML file with rules.

    Returns:
        The votes that count, and which records were left out and why.

    Raises:
        UnknownFormat: the format is not known; the message names the column that is missing.
        BadRecord: a record is no vote; the message names the record, the column and the value.
        BadInput: a table in memory cannot be read.
        Usage: a file does not exist, or an argument is not valid.
    """
    options = ReadingOptions(columns=columns, outcomes=outcomes, winner_is=winner_is, skip_bad=skip_bad, method=method)
    with errors_in_call_words(), vote_files(data) as files:
        return _votes(read_files(files, options, more=frozenset(NUMBERS)), files, options)


def read_files(
    files: VoteFiles, options: ReadingOptions, *, needs: RatingOptions | None = None, more: frozenset[str] = frozenset()
) -> VoteInput:
    """Read votes from files as the command line does.

    The notes name arguments of functions instead of options of commands.

    Args:
        files: the files with votes.
        options: the options by which the files are read.
        needs: the options of a rating, to read only the columns that the rating needs. None to read all columns.
        more: names of further columns of numbers (from NUMBERS) that a report needs.
    """
    mapping = options.mapping()
    with with_notes(files.notes):
        found = read_vote_input(
            files.paths, mapping, skip_bad=options.skip_bad, method=options.method, needs=needs, more=more
        )
    notes = [in_call_words(note) for note in found.notes] + list(files.notes)
    return replace(found, notes=notes, document={**found.document, "notes": notes})


def _votes(found: VoteInput, files: VoteFiles, options: ReadingOptions) -> Votes:
    source = report_source(files.named, files.named, found, options.command_options(), 0)
    return Votes(
        battles=found.battles,
        records=found.document["records"],
        left_out=tuple(found.not_rated),
        notes=tuple(found.notes),
        document=found.document,
        input=found,
        source=source,
    )


def _named(names: Any, codes: Any) -> pa.Array:
    """Return the names of codes, null for −1."""
    return pa.array(list(names), pa.string()).take(pa.array(codes, mask=codes < 0))


def _label_lists(labels: tuple[str, ...], bits: Int64) -> pa.ListArray:
    """Return a list of labels for each vote. If bit i of the vote's `bits` is set, the list contains `labels[i]`."""
    has = (bits[:, None] >> np.arange(len(labels))) & 1 == 1
    ends = np.concatenate([[0], np.cumsum(has.sum(axis=1))])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), _named(labels, np.nonzero(has)[1]))


def _numbers(battles: BattleColumns) -> dict[str, pa.Array]:
    """Return the columns of turns and of times. A column is left out if no vote has a value in it."""
    found = {}
    turn, time = battles.numbers.get("turn"), battles.numbers.get("cast_at")
    if turn is not None and turn.any():
        found["turn"] = pa.array(turn, mask=turn == 0)
    if time is not None and (time != _NO_TIME).any():
        found["cast_at"] = pa.array(time, mask=time == _NO_TIME).cast(pa.timestamp("us", "UTC"))
    return found
