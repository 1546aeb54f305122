"""Runs the command export, which writes votes of a store as a public data set."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from pipeline.cli.app import JsonOption, StoreOption, app, emit, err, store_url
from pipeline.cli.output_file import ForceOption, new_file, require_new
from pipeline.cli.stream_options import progress_bar
from pipeline.errors import Usage
from pipeline.formats.vote_writer import open_writer, output_kind
from pipeline.vocabulary.time import parse_iso8601

_OUT = "A new .parquet, .jsonl, .json, .csv or .tsv file, or one of them with .gz or .zst."
_LEFT_OUT = "Also write the votes that do not count to this file, each with the reason in the column left_out."


# Long because each option of a command is a parameter.
@app.command()
def export(
    to: Annotated[Path, typer.Option("--out", help=_OUT)],
    snapshot: Annotated[
        str | None,
        typer.Option(help="The votes that this snapshot (id or latest) counts; default: those that count now."),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Votes cast before this time only: a date, or RFC 3339.")] = None,
    left_out: Annotated[Path | None, typer.Option("--left-out", help=_LEFT_OUT)] = None,
    exact_times: Annotated[
        bool, typer.Option("--exact-times", help="Times to the microsecond; default: hours, as in the public log.")
    ] = False,
    models_under_test: Annotated[
        bool,
        typer.Option("--models-under-test", help="Also votes on models under test, by name: not for the public."),
    ] = False,
    store: StoreOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the counted votes in the format of arena-human-preference-140k, with random labels for voters.

    Excluded votes, retracted votes, votes that a rule of the method leaves out, and votes on models under test are not
    in the file.
    """
    from pipeline.jobs.custody.vote_export import EXPORT_COLUMNS, ExportOptions, open_export  # noqa: PLC0415

    targets = [to] if left_out is None else [to, left_out]
    if len({path.absolute() for path in targets}) < len(targets):
        raise Usage(f"expected two files, got {to} as --out and as --left-out")
    for path in targets:
        output_kind(path)
        require_new(path, force)
    options = ExportOptions(snapshot, _time(until), exact_times, models_under_test)
    with open_export(store_url(store), options) as export, progress_bar(as_json) as bar, ExitStack() as files:
        writers = [_open(files, path, EXPORT_COLUMNS, force=force) for path in targets]
        task = bar.add_task(to.name, total=export.most)
        for batches in export.batches():
            for write, batch in zip(writers, batches, strict=False):
                write(batch)
            bar.advance(task, sum(map(len, batches)))
    of = "would count now" if export.snapshot is None else f"snapshot {export.snapshot.snapshot_id[:12]} counts"
    notes = [f"{export.counted:,} votes that {of} were written to {to}"]
    elsewhere = "are not in it" if left_out is None else f"are in {left_out}"
    notes += [f"{count:,} votes {elsewhere}: {reason}" for reason, count in sorted(export.left_out.items())]
    if export.undecided:
        notes.append(
            f"{export.undecided:,} of the votes are not sealed yet and have a prompt: the next refresh decides which "
            "of them are outside the sample of a frequent prompt and do not count; --snapshot latest is decided"
        )
    if as_json:
        emit(
            {
                "written": str(to),
                "votes": export.counted,
                "snapshot": export.snapshot.snapshot_id if export.snapshot else None,
                "left_out": export.left_out,
                "undecided": export.undecided,
                "left_out_file": str(left_out) if left_out else None,
                "notes": notes,
            }
        )
    else:
        err.lines(notes)


def _time(text: str | None) -> int | None:
    try:
        return None if text is None else parse_iso8601(text)
    except ValueError as error:
        raise Usage(f"--until: {error}") from None


def _open(files: ExitStack, path: Path, columns: pa.Schema, *, force: bool) -> Callable[[Any], None]:
    """Return a function that writes a batch to a file. The file is complete after the stack `files` is closed."""
    kind, codec = output_kind(path)
    draft = files.enter_context(new_file(path, force=force))
    return files.enter_context(open_writer(draft, kind, codec, columns))


__all__ = ["export"]
