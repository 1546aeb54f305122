"""Builds sentences for people about how a battle file was read: its formats, and what was not read."""

import hashlib
from collections import Counter
from collections.abc import Container, Hashable, Iterable
from pathlib import Path

from pipeline.formats.battle_file import BattleFile
from pipeline.formats.battle_format import OneHotOutcome
from pipeline.formats.battle_formats.table import TABLE
from pipeline.formats.containers import bare_path

# So many copies are named in a note.
_COPIES = 4


def format_notes(file: BattleFile, also_read: Container[str] = (), most: int | None = None) -> list[str]:
    """Return sentences about how a file was read.

    The sentences name the formats, the columns that are not read, and the files whose content has another kind than
    their suffix says.

    Args:
        file: the file.
        also_read: columns that are read for another purpose than the fields of a vote, and so are not reported.
        most: how many of the columns that are not read are named; None for all.
    """
    forms = Counter(part.form.name for part in file.parts)
    several = len(file.parts) > 1
    read_as = ", ".join(
        f"{name} ({count:,} file{'s' * (count > 1)})" if several else name for name, count in forms.items()
    )
    notes = [f"read as {read_as}", *(part.container.note for part in file.parts if part.container.note)]
    notes += _copy_notes(file) + _table_notes(file)
    lists = {source.column for part in file.parts for source in part.form.texts.values() if source.keys == ("0",)}
    notes += [f"of the list {column} only the first entry was read" for column in sorted(lists)]
    unread = [column for column in file.unread if column not in also_read]
    if most is not None and len(unread) > most:
        columns = {column for part in file.parts for column in part.columns}
        notes.append(f"{len(unread)} of {len(columns)} columns were not read: {', '.join(unread[:most])}, …")
    elif unread:
        notes.append(f"columns that were not read: {', '.join(unread)}")
    return notes


def _copy_notes(file: BattleFile) -> list[str]:
    """Return notes on files that have the same bytes, or the same name but for the suffix.

    If they are copies, their votes count more than once, unless they have ids.
    """
    paths = [part.container.path for part in file.parts if part.columns]
    if len(paths) == 1:
        return []
    paths = [path for path in paths if path.exists()]  # the copy of a pipe may be gone
    sizes = Counter(path.stat().st_size for path in paths)
    same = _groups((_digest(path), path) for path in paths if sizes[path.stat().st_size] > 1)
    alike = _groups((bare_path(path), path) for path in paths)
    told = {frozenset(some) for some in same}
    return [
        *(f"{_listed(some)} have the same bytes: votes without an id count {len(some)} times" for some in same),
        *(
            f"{_listed(some)} have the same name: if they are copies, votes without an id count {len(some)} times"
            for some in alike
            if frozenset(some) not in told
        ),
    ]


def _groups(pairs: Iterable[tuple[Hashable, Path]]) -> list[list[Path]]:
    """Return the lists of at least two paths that have the same key."""
    found: dict[Hashable, list[Path]] = {}
    for key, path in pairs:
        found.setdefault(key, []).append(path)
    return [some for some in found.values() if len(some) > 1]


def _digest(path: Path) -> bytes:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _listed(paths: list[Path]) -> str:
    shown = ", ".join(path.name for path in paths[:_COPIES])
    return f"{shown}, …" if len(paths) > _COPIES else shown


def _table_notes(file: BattleFile) -> list[str]:
    """Return a note on the columns that were read under another name, for tables without a known format.

    The list is empty if every column that was read has the name of its field.
    """
    renamed: dict[str, None] = {}
    for form in (part.form for part in file.parts if part.form.name == TABLE and part.columns):
        sources = {"model_a": form.model_a, "model_b": form.model_b, **form.texts, **form.times}
        columns = {field: source.column for field, source in sources.items()}
        columns |= {"winner": "" if isinstance(form.outcome, OneHotOutcome) else form.outcome.column}
        renamed |= dict.fromkeys(f"{field} from {name}" for field, name in columns.items() if name not in ("", field))
    return [f"fields of the table: {', '.join(renamed)}"] if renamed else []


def time_notes(file: BattleFile) -> list[str]:
    """Return a list with one sentence if a file has no column of times, else an empty list.

    The sentence warns that a store accepts no vote without a time.
    """
    untimed = [part for part in file.parts if part.columns and "cast_at" not in part.form.times]
    if not untimed:
        return []
    return [
        f"{untimed[0].container.name} has no column of times: each of its records is rejected (missing_field), because "
        "a store keeps votes in the order of time. `--columns cast_at=HEADER` names the column; `integrity rate` rates "
        "a file without times"
    ]


def repeat_notes(repeated: int, conflicting: int) -> list[str]:
    """Return sentences about records whose id an earlier record has.

    Args:
        repeated: number of such records.
        conflicting: number of these records whose battle or voter differs from the earlier record's.
    """
    if not repeated:
        return []
    notes = [f"{repeated:,} of the records repeat the id of an earlier one and do not count again"]
    if conflicting:
        notes.append(
            f"{conflicting:,} of these state another battle under the same id, and the first one counts: expected an "
            "id for each vote, not for each question. `--columns vote_id=HEADER` names another column, `--columns "
            "vote_id=` derives ids from the records"
        )
    return notes
