"""Opens a battle file: finds its files, recognises its format, and lists the columns that are not read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pipeline.errors import UnknownFormat
from pipeline.formats.battle_format import BattleFormat, NamedWinner, SpelledOutcome, first_match
from pipeline.formats.battle_formats import FORMATS
from pipeline.formats.battle_formats.table import PUBLISHED, SYNONYMS, table_format, with_columns
from pipeline.formats.column_names import ColumnMapping, similar_columns
from pipeline.formats.containers import Container, inspect, list_files
from pipeline.formats.json_pieces import decoded, parsed, read_elements, read_lines
from pipeline.formats.record_shapes import BATTLE_KEYS, find_holder, require_lines, require_row
from pipeline.formats.tables import headers

Waits = Callable[[str], None]

OWN = "votes of this pipeline"
# Records by which the columns of a JSON file are told.
_FIRST_RECORDS = 1_000
# Characters of the list of columns in a message.
_MOST_SHOWN = 500
# Columns of a table with a row for each pair of models, which counts its votes: win_a, ties, model_b_wins, …
_COUNT = re.compile(
    r"(num_?|n_?|count_?)?(wins?|ties?|tie_?both_?bad|both_?bad|draws?|loss(es)?|votes|battles|games)"
    r"(_?(a|b|1|2|model_?a|model_?b|count))?|(model_?)?(a|b|1|2)_?(wins?|won|loss(es)?)(_?count)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class BattlePart:
    """One of the files that are read together as one battle file.

    Attributes:
        container: the path of the file, and how its bytes are read.
        form: the format of its records.
        columns: the names of its columns, in their order.
        mixed: whether some of its first records have another format, or contain a key twice.
    """

    container: Container
    form: BattleFormat
    columns: tuple[str, ...]
    mixed: bool = False

    @property
    def unread(self) -> tuple[str, ...]:
        """The names of the columns that are not read, in the order of the file.

        The result is empty for a file with this pipeline's own votes.
        """
        if self.form.name == OWN:
            return ()
        used = self.form.columns()
        return tuple(column for column in self.columns if column not in used)


@dataclass(frozen=True, slots=True)
class BattleFile:
    """A battle file, or several files that are read as one.

    Attributes:
        parts: the files, in the order in which they are read.
        mapping: the names of columns and outcomes that the user gave.
    """

    parts: tuple[BattlePart, ...]
    mapping: ColumnMapping

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers of the files (path, format and compression), in the order in which the files are read."""
        return tuple(part.container for part in self.parts)

    @property
    def form(self) -> BattleFormat:
        """The format of the first file that has columns; the format of the first file if none has columns."""
        return next((part.form for part in self.parts if part.columns), self.parts[0].form)

    @property
    def mixed(self) -> bool:
        """Whether the first records have more than one format, or any of them contains a key twice."""
        return any(part.mixed or (part.columns and part.form != self.form) for part in self.parts)

    @property
    def unread(self) -> tuple[str, ...]:
        """The names of the columns that the files have and that are not read, each name once."""
        return tuple(dict.fromkeys(column for part in self.parts for column in part.unread))

    def outcomes(self, form: BattleFormat) -> Mapping[str, str]:
        """Return the words for outcomes in the file: word → our outcome, such as `model_a`.

        The format `form` declares some of the words, and the user may give others.
        """
        return {**form.spellings, **self.mapping.outcomes}


def open_battles(path: Path, mapping: ColumnMapping | None = None) -> BattleFile:
    """Recognise the format of a battle file, or of each of several files.

    Only column names and the first records are read.

    Args:
        path: a file, a folder of shards, or a glob.
        mapping: the user's names of columns and outcomes; None if there are none.

    Returns:
        The files with their formats, in the order in which they are read.

    Raises:
        UnknownFormat: the kind of a file cannot be read, a table lacks a column that every battle needs, or a column
            named by the user is missing.
    """
    mapping = mapping or ColumnMapping()
    files = list_files(path)
    return BattleFile(tuple(_open_one(one, mapping, path if len(files) > 1 else None) for one in files), mapping)


def join_files(files: Sequence[BattleFile]) -> BattleFile:
    """Combine several battle files into one `BattleFile`. All files must have been opened with the same mapping."""
    if len(files) == 1:
        return files[0]
    return BattleFile(tuple(part for file in files for part in file.parts), files[0].mapping)


def _open_one(path: Path, mapping: ColumnMapping, among: Path | None) -> BattlePart:
    """Open one file. An error names, too, the folder or the glob `among` by which the file was found with others."""
    try:
        return _open_part(inspect(path), mapping)
    except UnknownFormat as error:
        if among is None:
            raise
        raise UnknownFormat(
            f"{error}. The file is one of several in {among}: if it has no votes, move it away, or name the others"
        ) from None


def _open_part(container: Container, mapping: ColumnMapping) -> BattlePart:
    columns, kinds = _columns(container)
    known = frozenset(columns)
    missing = [column for column in mapping.columns.values() if column and column not in known]
    if missing and known:
        raise UnknownFormat(f"{container.name}: expected columns {missing}, got {_shown(columns)}")
    form = recognised(known) or table_format(known)
    if mapping.columns or mapping.winner_is:
        form = _adjusted(container, form, mapping)
    if form.name != OWN and form.map_record is None:
        _require_battle(container, form, columns)
    twice = sorted({name for name in columns if columns.count(name) > 1} & set(form.columns()))
    if twice:
        raise UnknownFormat(
            f"{container.name}: expected one column {twice[0]!r}, got {columns.count(twice[0])}; rename the others"
        )
    return BattlePart(container, form, tuple(columns), mixed=len(kinds) > 1)


def _adjusted(container: Container, form: BattleFormat, mapping: ColumnMapping) -> BattleFormat:
    """Return a copy of a format in which the columns that the user named replace the declared ones.

    Raises:
        UnknownFormat: the columns of the format have fixed names.
    """
    if form.map_record is not None:
        raise UnknownFormat(
            f"{container.name}: is a {form.name}, whose columns have fixed names: expected no --columns and --winner-is"
        )
    named = "table" if form.name == OWN else form.name
    return replace(with_columns(form, mapping.columns, winner_is_name=bool(mapping.winner_is)), name=named)


def recognised(columns: frozenset[str]) -> BattleFormat | None:
    """Return the format of a table, given the names of its columns.

    Returns:
        The format of this pipeline's own votes if there is a column `schema`. Otherwise the first known format whose
        columns are all in the table. None if no known format fits: the table must be read by the usual names of columns
        (`table_format`).
    """
    if "schema" in columns:
        return replace(table_format(columns - PUBLISHED), name=OWN, without_outcome=False, true_labels={})
    return first_match(FORMATS, columns)


def _require_battle(container: Container, form: BattleFormat, columns: list[str]) -> None:
    if not columns and container.kind in ("json array", "json lines"):
        return  # no records yet, or none that is an object: the decoder names each
    for name, column in (("model_a", form.model_a.column), ("model_b", form.model_b.column)):
        if not column:
            raise UnknownFormat(_lacking(container, name, columns))
    rule = form.outcome
    if isinstance(rule, SpelledOutcome | NamedWinner) and not rule.column:
        raise UnknownFormat(_lacking(container, "winner", columns))


def _lacking(container: Container, name: str, columns: list[str]) -> str:
    # A table of ratings has models and no battles.
    board = {"model", "model_name"} & set(columns) and not {"model_a", "model_b", "winner"} & set(columns)
    counted = [column for column in columns if _COUNT.fullmatch(column)]
    if name == "winner" and len(counted) > 1:
        return (
            f"{container.name}: expected a row for each vote, with a column for winner ({', '.join(SYNONYMS[name])}), "
            f"got a row for each pair of models with counts, {_shown(counted)}: a file of counts cannot be read, "
            "expected the votes that were counted"
        )
    hint = "; published boards are read by `integrity history`" if board else ""
    pairs = similar_columns(columns)
    pairs = pairs if name in pairs else {name: "HEADER"}
    chosen = shlex.quote(",".join(f"{field}={column}" for field, column in pairs.items()))
    if {"winner", "loser"} <= set(columns):
        chosen = "model_a=winner,model_b=loser,winner=winner --winner-is name"
    return (
        f"{container.name}: expected a column for {name} ({', '.join(SYNONYMS[name])}), got {_shown(columns)}; "
        f"name it with --columns {chosen}{hint}"
    )


def _shown(columns: list[str]) -> str:
    text = str(columns)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def _columns(container: Container) -> tuple[list[str], set[str]]:
    """Return the columns of a file, and the names of the formats that its first records have.

    The names are an empty set for a file that is not JSON, since all its records have the same format.
    """
    if container.kind not in ("json array", "json lines"):
        return headers(container), set()
    columns: dict[str, None] = {}
    kinds: dict[frozenset[str], str] = {}
    holder = ""
    for raw in islice(raw_records(container), _FIRST_RECORDS):
        record, repeats = parsed(raw)
        if record is None and not columns and container.kind == "json lines":
            require_lines(container)
        if isinstance(record, dict):
            if repeats:
                kinds[frozenset()] = "a key twice"
            require_row(container, record)
            holder = holder or find_holder(record)
            columns.update(dict.fromkeys(record))
            names = frozenset(record)
            if names not in kinds:
                form = recognised(names)
                kinds[names] = form.name if form else "table"
    if holder and BATTLE_KEYS.isdisjoint(columns):
        raise UnknownFormat(
            f"{container.name}: expected an array of records, or a record a line, got one object with the records "
            f"under {holder!r}: write that array alone"
        )
    return list(columns), set(kinds.values())


def raw_records(container: Container, waits: Waits | None = None) -> Iterator[bytes]:
    """Yield each record of a JSON file as its unchanged bytes, without empty lines.

    Args:
        container: the file.
        waits: called with a description of an incomplete last line of JSON Lines, which is not yielded. None if the
            file is complete; then the last line needs no newline.
    """
    with container.open() as stream:
        if container.kind == "json array":
            yield from read_elements(stream, container.name)
            return
        for line in read_lines(stream):
            if not line.strip():
                continue
            if waits is not None and not line.endswith(b"\n") and not isinstance(decoded(line), dict):
                waits(f"a last line of {len(line)} bytes without a newline")
                return
            yield line.rstrip(b"\r\n")
