"""Exports the votes of a store without data about persons, in the schema of the dataset arena-human-preference-140k.

An export has two kinds of votes, in separate batches: the votes that count, and the other votes with the reason why
they do not count. In an export of a snapshot, the snapshot decides which votes count. In an export without a snapshot,
these are the votes that a refresh would count now. Votes on models under test are left out unless they are asked for.
An export is recorded in the operators' log before it begins.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.errors import Usage, VerificationFailed
from pipeline.formats.output_schemas import PREFERENCE_140K
from pipeline.jobs.refresh.board_method import method_of, stated_method
from pipeline.jobs.refresh.rating_input import counted_fates, find_unregistered
from pipeline.ledger import bundle, segment
from pipeline.open_store import existing_store, now
from pipeline.ratings.method import Method
from pipeline.store import Store
from pipeline.store.alerting import operators_log
from pipeline.store.boards import excluded_votes, exclusion_list, hidden_models, snapshots
from pipeline.store.boards.hidden_models import ALL_SHOWN, HiddenModels
from pipeline.store.boards.snapshots import PublishedSnapshot
from pipeline.store.db import dialect
from pipeline.store.log import retractions, sealed_counts, seals
from pipeline.store.read.exported_votes import ExportedBatch, read_exported_votes
from pipeline.store.read.vote_places import (
    CountingRules,
    UncountedKeys,
    VoteRange,
    pack_positions,
    read_frequent,
    sealed_ranges,
    unsealed_ranges,
)
from pipeline.store.votes import dictionary
from pipeline.vocabulary.arrays import Int64
from pipeline.vocabulary.fates import COUNTED
from pipeline.vocabulary.method_rules import RULE_BITS

EXPORT_COLUMNS = pa.schema(
    [
        *PREFERENCE_140K.columns,
        pa.field("leaf", pa.int64()),
        pa.field("fate", pa.string()),
        pa.field("left_out", pa.string()),
    ]
)
"""The columns of an export: those of the schema `140k`, the leaf of the vote in the vote log, the vote's fate, such as
"late", and the reason why the vote does not count."""

LATEST = "latest"
"""The name that stands for the newest published snapshot in place of an id."""

UNDER_TEST = "on a model under test"
"""The reason why a vote that counts on the board may be left out of an export."""

_RETRACTED = "retracted"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The options of an export.

    Attributes:
        snapshot: id of a published snapshot, the beginning of an id, or LATEST for the newest; None for the votes that
            would count now.
        until: only votes cast before this time are exported, in microseconds since 1970 UTC; None for all votes.
        exact_times: whether times are exact; otherwise they are rounded to hours.
        models_under_test: whether votes on models under test are exported, with the names of these models.
    """

    snapshot: str | None = None
    until: int | None = None
    exact_times: bool = False
    models_under_test: bool = False


@dataclass
class VoteExport:
    """An open export, whose votes are read in batches.

    Attributes:
        ranges: the ranges of offsets that are read.
        rules: the rules by which a vote counts or is left out.
        snapshot: the snapshot whose votes are exported; None for the votes that would count now.
        hidden: models that the export does not name.
        counted: number of votes read so far that count and are exported.
        left_out: reason → number of votes read so far that do not count.
        undecided: number of votes read so far that count now, but perhaps not after the next seal. They are on a
            frequent prompt, and the next seal decides which of them stay in the prompt's sample.
    """

    _connection: Connection
    _options: ExportOptions
    ranges: list[VoteRange]
    rules: CountingRules
    snapshot: PublishedSnapshot | None
    hidden: HiddenModels = ALL_SHOWN
    counted: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    undecided: int = 0

    @property
    def most(self) -> int:
        """An upper bound of the number of votes in the export: the number of offsets in `ranges`."""
        return sum(one.offsets[2] - one.offsets[1] for one in self.ranges)

    def batches(self) -> Generator[tuple[pa.RecordBatch, pa.RecordBatch], None, None]:
        """Read the votes of the export, batch by batch.

        Yields:
            Two record batches with the columns EXPORT_COLUMNS. Both have votes of the same range of offsets: the first
            has those that count, the second those that do not count.

        Raises:
            VerificationFailed: after the last batch, the number of exported votes differs from the number that the
                snapshot states. The numbers are not compared if only votes before some time are exported
                (`ExportOptions.until`).
        """
        read = read_exported_votes(
            self._connection, self.ranges, self.rules, self._options.until,
            exact_times=self._options.exact_times, hidden=self.hidden,
        )  # fmt: skip
        with closing(read) as found:
            for one in found:
                votes = _as_columns(one)
                counts = one.left_out.is_null()
                kept, others = votes.filter(counts), votes.filter(pc.invert(counts))
                self.counted += len(kept)
                self.undecided += pc.sum(one.undecided).as_py() or 0
                for pair in others["left_out"].value_counts().to_pylist():
                    self.left_out[pair["values"]] = self.left_out.get(pair["values"], 0) + pair["counts"]
                yield kept, others
        stated = None if self.snapshot is None else self.snapshot.body["votes_counted"]
        found_votes = self.counted + self.left_out.get(UNDER_TEST, 0)
        if stated is not None and self._options.until is None and found_votes != stated:
            raise VerificationFailed(
                f"expected the {stated:,} votes that snapshot {self.snapshot.snapshot_id[:12]} counts, got "  # type: ignore[union-attr]
                f"{found_votes:,}: `integrity verify` compares the store with what it has published"
            )


@contextmanager
def open_export(url: str, options: ExportOptions) -> Iterator[VoteExport]:
    """Open an export for the duration of a `with` block, and record it in the operators' log.

    Raises:
        Usage: there is no such snapshot, or the database role may not read voters.
        StoreUnavailable: the store does not answer, or does not exist.
    """
    with existing_store(url, with_key=False) as store:
        with store.write() as connection:
            target = ""
            if options.snapshot is not None:
                named = None if options.snapshot == LATEST else options.snapshot
                target = snapshots.find(connection, named).snapshot_id
            if not dialect.may_read(connection, "vote", "voter"):
                raise Usage("expected a database role that may read votes, as integrity_rate, got one that may not")
            chosen = {"exact_times": options.exact_times}
            chosen |= {"models_under_test": True} if options.models_under_test else {}
            operators_log.record_export(connection, "votes", target, now(), chosen)
        with store.read() as connection:
            export = _of_snapshot(connection, store, options, target) if target else _of_now(connection, options)
            yield export if options.models_under_test else _without_hidden(connection, export)


def _without_hidden(connection: Connection, export: VoteExport) -> VoteExport:
    """Return an export that leaves votes on models under test out, and names none of these models."""
    hidden = hidden_models.read_hidden_models(connection, now())
    numbers = [number for number, name in dictionary.model_names(connection).items() if name in hidden]
    excluded = replace(export.rules.excluded, texts=tuple(map(hidden.text, export.rules.excluded.texts)))
    under_test = UncountedKeys.build(dict.fromkeys(numbers, UNDER_TEST))
    return replace(export, rules=replace(export.rules, excluded=excluded, under_test=under_test), hidden=hidden)


def _of_snapshot(connection: Connection, store: Store, options: ExportOptions, snapshot_id: str) -> VoteExport:
    found = snapshots.find(connection, snapshot_id)
    body = found.body
    excluded = segment.read_excluded(store.files.get(body["excluded"]["sha256"]), bundle.EXCLUDED)
    texts = tuple(_excluded_text(entry) for entry in body["exclusions"])
    reason = excluded["exclusion"].to_numpy().astype(np.int32)
    retracted = {row[2]: _RETRACTED for row in retractions.read_range(connection, 0, found.log_size)}
    numbers = {name: number for number, name in dictionary.model_names(connection).items()}
    method, ranges = stated_method(body), sealed_ranges(connection, found.log_size)
    rules = CountingRules(
        by_leaf=True,
        retracted=UncountedKeys.build(retracted),
        excluded=UncountedKeys(excluded["leaf"].to_numpy(), reason, texts),
        rules=_rule_bits(method),
        unregistered=_unregistered({numbers[name]: name for name in body.get("unregistered", ())}),
        fates=counted_fates(body),
        frequent=_frequent(connection, ranges, method),
    )
    return VoteExport(connection, options, ranges, rules, found)


def _of_now(connection: Connection, options: ExportOptions) -> VoteExport:
    active = sorted(exclusion_list.read_active(connection), key=lambda one: (one.kind, one.public))
    entries = [{"kind": e.kind, "target": e.public, "reason": e.reason, "name": e.name} for e in active]
    votes = excluded_votes.find_excluded(connection, None, entries)
    entry = excluded_votes.attribute_to_entries(connection, votes, entries)
    excluded = {_key(place): _excluded_text(entries[at]) for place, at in entry.items()}
    retracted = {_key(place): _RETRACTED for place in retractions.retracted_positions(connection, None)}
    method = method_of(configuration.load())
    ranges = sealed_ranges(connection, None) + unsealed_ranges(connection)
    rules = CountingRules(
        by_leaf=False,
        retracted=UncountedKeys.build(retracted),
        excluded=UncountedKeys.build(excluded),
        rules=_rule_bits(method),
        unregistered=_unregistered(_waiting_models(connection)),
        frequent=_frequent(connection, ranges, method),
    )
    return VoteExport(connection, options, ranges, rules, None)


def _frequent(connection: Connection, ranges: list[VoteRange], method: Method) -> dict[int, Int64]:
    return read_frequent(connection, ranges) if "frequent_prompt" in method.rules else {}


def _waiting_models(connection: Connection) -> dict[int, str]:
    """Return number → name of the models that are not in the registry.

    The result is empty if no vote compares two registered models: the registry is then not in use.
    """
    names = dictionary.model_names(connection)
    unknown = set(find_unregistered(connection, names.values()))
    waiting = {number: name for number, name in names.items() if name in unknown}
    pairs = sealed_counts.read_counts(connection, seals.head(connection)[0]).pairs
    known = np.isin(pairs[:, 3], COUNTED) & ~np.isin(pairs[:, :2], np.array([*waiting], dtype=np.int64)).any(axis=1)
    return waiting if pairs[known, 4].sum() else {}


def _unregistered(models: dict[int, str]) -> UncountedKeys:
    return UncountedKeys.build({number: f"not registered: {name}" for number, name in models.items()})


def _rule_bits(method: Method) -> dict[str, int]:
    return {rule: bit for rule, bit in RULE_BITS.items() if rule in method.rules}


def _key(place: tuple[int, int]) -> int:
    return int(pack_positions(place[0], np.int64(place[1])))  # type: ignore[arg-type]


def _excluded_text(entry: dict[str, str]) -> str:
    return f"excluded: {entry['reason']} ({entry['name']})"


def _as_columns(exported: ExportedBatch) -> pa.RecordBatch:
    built = PREFERENCE_140K.build(exported.votes)
    arrays = [*built.columns, exported.leaf, exported.fate, exported.left_out]
    return pa.record_batch(arrays, schema=EXPORT_COLUMNS)


__all__ = ["EXPORT_COLUMNS", "ExportOptions", "VoteExport", "open_export"]
