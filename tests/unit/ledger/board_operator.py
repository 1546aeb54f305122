"""An operator that seals, publishes and bundles in memory, honest unless a test changes its claims."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import rfc8785

from pipeline.errors import Refuted
from pipeline.ledger import (
    bundle,
    canonical_json,
    leaf,
    leaf_encoding,
    leaf_labels,
    manifest,
    merkle,
    published_views,
    segment,
    signed_note,
)
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.canonical_json import Digest
from pipeline.ledger.manifest import Manifest
from pipeline.ledger.vote_log import VoteLog
from pipeline.ratings import PairCounts
from pipeline.vocabulary.method_rules import RULE_BITS, rule_mask
from pipeline.vocabulary.outcomes import OUTCOMES
from tests.unit.ledger import slow_merkle

GOLDEN = Path(__file__).parents[2] / "golden"
BOARD = "arena.example/text"
SIGNER = signed_note.Signer(f"{BOARD}/snapshots", sha256(b"operator").digest())
STRANGER = signed_note.Signer(f"{BOARD}/snapshots", sha256(b"stranger").digest())
WITNESS = signed_note.Signer("witness.example", sha256(b"witness").digest(), signed_note.COSIGNATURE)
SETTINGS: dict[str, manifest.JsonScalar] = {"anchor": "ant=1100", "least_share": 0.95, "lateness_minutes": 60}
START = 1_723_636_800_000_000
MINUTE = 60_000_000

Change = Callable[[Manifest], Manifest]
Files = dict[str, bytes]
FIRST, SECOND, THIRD = (f"votes/{at:012d}.parquet" for at in (0, 300, 700))


@cache
def small_votes() -> pa.Table:
    """The 900 votes of tests/golden/small_votes.csv as leaves, a minute apart; some late, some quarantined."""
    with (GOLDEN / "small_votes.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    numbers = np.arange(len(table))
    fate = np.where(numbers % 37 == 5, 1, np.where(numbers % 101 == 7, 2, 0))
    return leaf.vote_rows(
        [sha256(b"vote %d" % i).hexdigest() for i in range(len(table))],
        START + numbers * MINUTE,
        [row["model_a"] for row in table],
        [row["model_b"] for row in table],
        np.array([OUTCOMES.index(row["winner"]) for row in table]),
        fate,
        b"".join(
            sha256(sha256(b"blind %d" % i).digest() + rfc8785.dumps({"voter": row["voter"]})).digest()
            for i, row in enumerate(table)
        ),
    )


def changed(rows: pa.Table, row: int, **values: Any) -> pa.Table:
    """The rows with other values in one of them."""
    plain = rows.to_pylist()
    plain[row].update(values)
    return pa.Table.from_pylist(plain, leaf.SCHEMA)


def segment_file(rows: pa.Table, hashes: bytes) -> bytes:
    """A segment of all its rows at once."""
    sink = io.BytesIO()
    writer = segment.SegmentWriter(sink)
    writer.append(rows, hashes)
    writer.close()
    return sink.getvalue()


def published_view(counts: PairCounts, settings: manifest.Configuration) -> manifest.PublishedView:
    """The view of counts as an operator publishes it, rounded."""
    board = published_views.recompute_leaderboard(counts, settings).rounded()
    names = ("rating", "lower", "upper", "rank", "rank_best", "rank_worst", "votes")
    columns = [getattr(board, name).tolist() for name in names]
    return manifest.PublishedView(
        votes=counts.total,
        counts_sha256=published_views.counts_digest(counts),
        gradient_norm=board.gradient_norm,
        rows=tuple(manifest.BoardRow(model, *row) for model, *row in zip(board.models, *columns, strict=True)),
        unrated=tuple(sorted(board.unrated, key=lambda one: one.model)),
    )


class Operator:
    """Both logs of a board in memory.

    Attributes:
        seals: rows and hashes of each segment.
        files: the file of each segment.
        manifests, heads: of each snapshot.
        labels: first leaf of a segment → the file of its labels.
        method: rules of the next snapshots; None for a snapshot without a method.
        boards: boards of the next snapshots.
        more: path → further files of the next snapshots.
    """

    def __init__(self, signer: signed_note.Signer = SIGNER, *, late_counts: bool = True) -> None:
        self.signer = signer
        self.late_counts = late_counts
        self.seals: list[tuple[pa.Table, bytes]] = []
        self.files: list[bytes] = []
        self.manifests: list[bytes] = []
        self.heads: list[bytes] = []
        self.stated: list[dict[str, bytes]] = []
        self.labels: dict[int, bytes] = {}
        self.method: tuple[str, ...] | None = None
        self.boards: tuple[str, ...] = ()
        self.more: dict[str, bytes] = {}

    def copy(self) -> Operator:
        """The same logs, to go on with."""
        it = copy(self)
        it.seals, it.files, it.manifests, it.heads = [*self.seals], [*self.files], [*self.manifests], [*self.heads]
        it.stated, it.labels, it.more = [dict(one) for one in self.stated], dict(self.labels), dict(self.more)
        return it

    def seal(self, rows: pa.Table) -> None:
        hashes = leaf_encoding.hashes(rows)
        self.seals.append((rows, hashes))
        self.files.append(segment_file(rows, hashes))

    def publish(
        self,
        excluded: dict[int, int] | None = None,
        reasons: tuple[str, ...] = (),
        change: Change = lambda it: it,
        excluded_file: bytes | None = None,
    ) -> None:
        """Append a snapshot of everything sealed; `change` falsifies the manifest."""
        leaves = sorted(excluded or {})
        given = pa.array(leaves, pa.int64()), pa.array([(excluded or {})[one] for one in leaves], pa.int32())
        stated = bundle.listed_files(self.signer.verifier, excluded_file or segment.write_excluded(*given))
        stated |= {leaf_labels.path(first): data for first, data in self.labels.items()} | self.more
        output = change(self._honest(pa.table(dict(zip(("leaf", "exclusion"), given, strict=True))), reasons, stated))
        self.manifests.append(output.dump())
        self.stated.append(stated)
        tree = slow_merkle.leaf_hashes(self.manifests)
        head = signed_note.Checkpoint(output.origin, len(self.manifests), merkle.root(tree))
        self.heads.append(signed_note.sign(head.text, [self.signer]))

    def bundle(self, sequence: int | None = None) -> dict[str, bytes]:
        """The bundle of a snapshot, by default of the newest."""
        at = sequence or len(self.manifests)
        output = canonical_json.load(Manifest, self.manifests[at - 1], "manifest")
        node = merkle.MerkleTree(slow_merkle.leaf_hashes(self.manifests)).node
        proof = bundle.build_proof(at, at, at - 1, node)
        segments = {one.path: data for one, data in zip(output.segments, self.files, strict=False)}
        before = (self.manifests[at - 2], self.heads[at - 2]) if at > 1 else None
        return bundle.assemble(
            self.manifests[at - 1], self.heads[at - 1], proof, {**segments, **self.stated[at - 1]}, before=before
        )

    def _honest(self, excluded: pa.Table, reasons: tuple[str, ...], stated: dict[str, bytes]) -> Manifest:
        log = VoteLog()
        segments = []
        for (rows, hashes), data in zip(self.seals, self.files, strict=True):
            segments.append(manifest.SegmentFile(log.frontier.size, len(rows), manifest.sha256_hex(data)))
            log.extend(rows, hashes)
        labels = leaf_labels.LogLabels(log.frontier.size)
        for first, data in self.labels.items():
            labels.extend(leaf_labels.read(data, leaf_labels.path(first), 0, log.frontier.size))
        named = (labels.rules & rule_mask(self.method or ())) != 0
        raw, defended, taken = log.counted(
            excluded, len(reasons), late_counts=self.late_counts, left_out=named if self.method is not None else None
        )
        settings = published_views.with_digest(SETTINGS)
        return Manifest(
            schema=manifest.SCHEMA,
            board=BOARD,
            sequence=len(self.manifests) + 1,
            previous=manifest.sha256_hex(self.manifests[-1]) if self.manifests else manifest.NO_PREVIOUS,
            at="2024-08-15T07:00:00Z",
            vote_log=manifest.VoteLogHead(log.frontier.size, Digest(log.frontier.root().hex())),
            segments=tuple(segments),
            exclusions=tuple(
                manifest.ManifestExclusion("voter", "00000000000000aa", reason, "auto-voter/1", votes)
                for reason, votes in zip(reasons, taken, strict=True)
            ),
            configuration=settings,
            code=manifest.CodeVersion("0.1.0", ""),
            quality=manifest.DataQuality("a verdict", success=True),
            views=manifest.PublishedViews(
                published_view(log.counts(raw, ["yak"]), settings),
                published_view(log.counts(defended, ["yak"]), settings),
            ),
            alerts=(manifest.OpenAlert("an alert", "voter_bias", "warning"),),
            watermark=(manifest.SourcePosition("kafka:arena.votes", 0, 900),),
            keys=(str(self.signer.verifier),),
            witnesses=(str(WITNESS.verifier),),
            files=bundle.file_digests(stated),
            coverage=manifest.VoteCoverage(manifest.LATE_COUNT, log.count_late(raw), 120) if self.late_counts else None,
            method=self._method(labels.rules[raw]),
            boards={
                name: published_view(log.counts(defended & labels.selects(name), []).without_empty_models(), settings)
                for name in self.boards
            }
            or None,
        )

    def _method(self, rules: np.ndarray[Any, Any]) -> manifest.PublishedMethod | None:
        if self.method is None:
            return None
        left_out, seen = {}, np.zeros(len(rules), dtype=bool)
        for rule in self.method:
            named = (rules & RULE_BITS[rule]) != 0
            left_out[rule] = int((named & ~seen).sum())
            seen |= named
        return manifest.PublishedMethod("arena", self.method, left_out)


EXCLUDED = {10: 0, 20: 0, 640: 0, 641: 1}
REASONS = ("voted against the board", "asked for by a person")


def honest(signer: signed_note.Signer = SIGNER, *, late_counts: bool = True) -> Operator:
    """Three seals, three snapshots; the last seal takes a vote back, the last snapshot excludes four.

    Without `late_counts` all are by the earlier late rule. Three boards take a while to rate: each caller gets a copy.
    """
    return _honest(signer, late_counts).copy()


@cache
def _honest(signer: signed_note.Signer, late_counts: bool) -> Operator:
    it, rows = Operator(signer, late_counts=late_counts), small_votes()
    it.seal(rows.slice(0, 300))
    it.publish()
    it.seal(rows.slice(300, 400))
    it.publish({10: 0, 20: 0}, REASONS[:1])
    it.seal(last_seal(rows))
    it.publish(EXCLUDED, REASONS)
    return it


def last_seal(rows: pa.Table) -> pa.Table:
    back = leaf.retraction_rows([rows["vote"][33].as_py()], np.array([START]), [33], ["the voter asked"])
    return pa.concat_tables([rows.slice(700, 200), back])


def lying(change: Change) -> dict[str, bytes]:
    """The bundle of an operator that signs a false claim in the third snapshot."""
    it, rows = honest(), small_votes()
    del it.manifests[2], it.heads[2], it.stated[2]
    assert len(rows) == 900
    it.publish(EXCLUDED, REASONS, change)
    return it.bundle()


def with_view(name: str, **values: Any) -> Change:
    """Other values in a view."""
    return lambda it: replace(it, views=replace(it.views, **{name: replace(getattr(it.views, name), **values)}))


def with_row(name: str, row: int, **values: Any) -> Change:
    """Other values in a row of a view."""

    def change(it: Manifest) -> Manifest:
        rows = list(getattr(it.views, name).rows)
        rows[row] = replace(rows[row], **{key: value(getattr(rows[row], key)) for key, value in values.items()})
        return with_view(name, rows=tuple(rows))(it)

    return change


@cache
def operator() -> Operator:
    return honest()


@cache
def good() -> Files:
    return operator().bundle()


def refuted(files: Files, **options: Any) -> Refuted:
    with pytest.raises(Refuted) as found:
        verify_bundle(files, options.pop("keys", [SIGNER.verifier]), **options)
    return found.value
