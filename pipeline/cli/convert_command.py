"""Runs the command convert, which writes the votes of a battle file in another format."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline import settings
from pipeline.cli.app import JsonOption, app, emit, err
from pipeline.cli.output_file import ForceOption, new_file, require_new
from pipeline.cli.stream_options import ColumnsOption, OutcomesOption, SkipBadOption, WinnerIsOption, progress_bar
from pipeline.errors import Usage
from pipeline.formats import ColumnMapping
from pipeline.formats.battle_file import BattleFile, open_battles
from pipeline.formats.containers import readable_path
from pipeline.formats.format_notes import format_notes
from pipeline.formats.identity_leaks import shipped_leak_check
from pipeline.formats.left_out import LeftOut
from pipeline.formats.output_schemas import OUTPUT_SCHEMAS, OutputSchema
from pipeline.formats.record_estimate import estimate_records
from pipeline.formats.vote_reader import BAD_TIME, VoteReader
from pipeline.formats.vote_writer import open_writer, output_kind
from pipeline.open_store import known_voter_key, publish_folder
from pipeline.settings import Settings
from pipeline.stream.text_reading import TextReading, delayed_text_reading
from pipeline.vote_files.vote_input import left_out_notes

_STANDARD_INPUT = "-"
_WRITTEN_AS = {
    "vote": "vote events",
    "table": "a table with one value a column",
    "140k": "arena-human-preference-140k with a column for each field of a vote that it lacks",
}


# Long because each option of a command is a parameter.
@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help="As for `rate`: a file, a folder, a quoted glob, or - for standard input."),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="A new file: .jsonl, .json, .csv, .tsv or .parquet, each also with .gz or .zst."
        ),
    ],
    to: Annotated[
        Literal["vote", "140k", "table"],
        typer.Option(help="vote: our vote events; table: one plain value a column; 140k: arena-human-preference-140k."),
    ] = "vote",
    columns: ColumnsOption = "",
    outcomes: OutcomesOption = "",
    winner_is: WinnerIsOption = "",
    skip_bad: SkipBadOption = False,
    no_text_checks: Annotated[
        bool, typer.Option("--no-text-checks", help="Leave conversations unread: no identity_leak.")
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the votes of a battle file in another format, with all fields that the file has for each vote.

    The first invalid record is an error unless --skip-bad is given.
    """
    output_kind(target)
    require_new(target, force)
    if not source.exists() and str(source) != _STANDARD_INPUT and not any(sign in str(source) for sign in "*?["):
        raise Usage(f"expected a file, a folder, a glob or -, got {source}")
    options = settings.load()
    id_key = options.log_id_key(known_voter_key(options.store) or b"")
    mapping = replace(ColumnMapping.parse(columns, outcomes, winner_is), id_key=id_key)
    left_out = LeftOut(skip_bad)
    with readable_path(source) as path:
        file = open_battles(path, mapping)
        _require_other(file, target)
        texts = TextReading() if no_text_checks else _text_reading(options)
        reader = VoteReader(file, left_out, texts.check)
        votes = _write(reader, target, OUTPUT_SCHEMAS[to], force=force, quiet=as_json)
    many = "1 vote was" if votes == 1 else f"{votes:,} votes were"
    notes = [*format_notes(file), f"{many} written to {target}, as {_WRITTEN_AS[to]}"]
    if reader.self_battles:
        notes.append(f"battles of a model against itself among them, which no rating counts: {reader.self_battles:,}")
    for row, detail in reader.bad_times.first.values():
        bad = f"{reader.bad_times.counts[BAD_TIME]:,} (the first is in record {row}: {detail})"
        notes.append(f"times that were left out, because they are none: {bad}")
    battles, identity_leaks = texts.count()
    if battles:
        leaks = f"{identity_leaks:,} with an identity leak"
        notes.append(f"read {battles:,} battles with text, which was not written: {leaks}")
    if own := [key for key in reader.unread if key not in file.unread]:
        notes.append(f"keys that are no fields of a vote were not read: {', '.join(own)}")
    notes += left_out_notes(left_out, file)
    if as_json:
        emit(
            {
                "written": str(target),
                "to": to,
                "format": file.form.name,
                "votes": votes,
                "self_battles": reader.self_battles,
                "bad_times": reader.bad_times.counts.get(BAD_TIME, 0),
                "text_checks": {"battles": battles, "identity_leaks": identity_leaks},
                "unread_columns": list(reader.unread),
                "left_out": left_out.document(),
                "notes": notes,
            }
        )
    else:
        err.lines(notes)


def _text_reading(options: Settings) -> TextReading:
    """Return the check of texts that the command `work` makes: leaked model names, and hashes of prompts.

    If the store has no voter key, prompts are not hashed. Anybody could find a prompt from a hash without a key by
    hashing guesses.
    """
    key = known_voter_key(options.store)
    if key is None:
        check = shipped_leak_check()
        return TextReading(check, count=lambda: (check.battles, check.leaks))

    def open_reading() -> TextReading:
        from pipeline.stream.text_checks import open_text_reading  # noqa: PLC0415  # imports scipy: a second

        return open_text_reading(publish_folder(options.store), key, read_only=True)

    return delayed_text_reading(open_reading)


def _require_other(file: BattleFile, target: Path) -> None:
    if target.exists() and any(one.path.samefile(target) for one in file.containers):
        raise Usage(f"expected an output file that is no input, got {target} as both")


def _write(reader: VoteReader, target: Path, schema: OutputSchema, *, force: bool, quiet: bool) -> int:
    """Write the votes to a file; return their number."""
    kind, codec = output_kind(target)
    votes = 0
    with progress_bar(quiet) as bar:
        task = bar.add_task(target.name, total=None if bar.disable else estimate_records(reader.file))
        with (
            new_file(target, force=force) as draft,
            open_writer(draft, kind, codec, schema.columns, events=schema.events) as write,
        ):
            for batch in reader.batches():
                write(schema.build(batch))
                votes += len(batch)
                bar.update(task, completed=votes)
    return votes


__all__ = ["convert"]
