"""Intervals of a bundle: a reader computes them again, and refutes each changed number and each malformed file."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import Refuted
from pipeline.ledger import canonical_json, interval_rows, published_intervals, published_views, voter_scores_file
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.interval_rows import IntervalRow, PublishedIntervals
from pipeline.ledger.vote_log import VoteLog
from pipeline.ratings import PairCounts, fit, select_rated_models
from pipeline.ratings.voter_scores import VoterScores, vote_scatter
from tests.unit.ledger.board_operator import SETTINGS, SIGNER, Files, Operator, small_votes

INTERVALS, SCORES = interval_rows.PATH, voter_scores_file.PATH
CONFIGURATION = published_views.with_digest(SETTINGS)
Change = Callable[[PublishedIntervals], PublishedIntervals]


def view_counts(it: Operator) -> dict[str, PairCounts]:
    log = VoteLog()
    for rows, hashes in it.seals:
        log.extend(rows, hashes)
    nothing = pa.table({"leaf": pa.array([], pa.int64()), "exclusion": pa.array([], pa.int32())})
    raw, defended, _ = log.counted(nothing, 0, late_counts=True, left_out=None)
    return {"raw": log.counts(raw, ["yak"]), "defended": log.counts(defended, ["yak"])}


def scores_of(counts: PairCounts) -> VoterScores:
    """Sums as if the votes of a voter hung together: three times the sum over single votes."""
    _, share = published_views.rating_options(counts, CONFIGURATION)
    rated, _ = select_rated_models(counts, least_share=share)
    scatter = 3 * vote_scatter(fit(rated), rated)
    return voter_scores_file.as_published(VoterScores(rated.models, scatter, np.diag(scatter) ** 2 / 20))


def bundle_with(change: Change = lambda it: it, files: Callable[[Files], Files] = lambda it: it) -> Files:
    it = Operator()
    it.seal(small_votes())
    counts = view_counts(it)
    scores = {view: scores_of(of) for view, of in counts.items()}
    ever = int((counts["raw"].battles_per_model() > 0).sum())
    rows = {}
    for view, of in counts.items():
        anchor, share = published_views.rating_options(of, CONFIGURATION)
        found = published_intervals.compute_intervals(of, scores[view], anchor=anchor, share=share, models_ever=ever)
        rows[view] = published_intervals.interval_rows(found)
    document = change(PublishedIntervals(0.95, ever, len(small_votes()), rows))
    it.more = files({INTERVALS: canonical_json.dump(document), SCORES: voter_scores_file.write(scores)})
    it.publish()
    return it.bundle()


def refuted(files: Files) -> str:
    with pytest.raises(Refuted) as caught:
        verify_bundle(files, [SIGNER.verifier])
    return f"{caught.value.reason}: {caught.value}"


def test_a_reader_computes_the_intervals_again() -> None:
    files = bundle_with()
    assert verify_bundle(files, [SIGNER.verifier]).key_checked
    found = interval_rows.read_intervals(files[INTERVALS])
    (row, *_), defended = found.views["raw"], verify_bundle(files, [SIGNER.verifier]).manifest.views.raw.rows[0]
    assert row.model == defended.model
    assert row.sequence_lower < row.clustered_lower < defended.lower < defended.upper < row.clustered_upper
    assert row.gap_lower is not None
    assert found.views["raw"][-1].gap_lower is None
    assert verify_bundle(without_intervals(), [SIGNER.verifier]).key_checked


def without_intervals() -> Files:  # of an operator of an earlier version
    it = Operator()
    it.seal(small_votes())
    it.publish()
    return it.bundle()


def with_first(view: str, **values: Any) -> Change:
    def change(it: PublishedIntervals) -> PublishedIntervals:
        first, *others = it.views[view]
        return replace(it, views={**it.views, view: (replace(first, **values), *others)})

    return change


@pytest.mark.parametrize("view", ["raw", "defended"])
@pytest.mark.parametrize(
    ("name", "by"),
    [
        *((name, 0.02) for name in ("clustered_lower", "clustered_upper", "sequence_lower", "sequence_upper")),
        *((name, 0.02) for name in ("gap_lower", "gap_upper")),
        *((name, 1) for name in ("clustered_best", "clustered_worst", "sure_best", "sure_worst")),
    ],
)
def test_each_changed_number_is_refuted(view: str, name: str, by: float) -> None:
    def change(it: PublishedIntervals) -> PublishedIntervals:
        value = getattr(it.views[view][0], name)
        return with_first(view, **{name: value + by if isinstance(by, int) else round(value + by, 2)})(it)

    text = refuted(bundle_with(change))
    assert text.startswith("intervals: ")
    assert f"view {view}" in text
    assert name in text


def without_row(it: PublishedIntervals) -> PublishedIntervals:
    return replace(it, views={**it.views, "raw": it.views["raw"][1:]})


def twice(it: PublishedIntervals) -> PublishedIntervals:
    return replace(it, views={**it.views, "raw": (*it.views["raw"], it.views["raw"][0])})


@pytest.mark.parametrize(
    "change",
    [
        without_row,
        twice,
        lambda it: replace(it, level=0.9),
        lambda it: replace(it, models_ever=it.models_ever + 1),
        lambda it: replace(it, summed_at=10**6),
        lambda it: replace(it, views={"raw": it.views["raw"]}),
        lambda it: replace(it, views={**it.views, "style": it.views["raw"]}),
        with_first("raw", gap_lower=None, gap_upper=None),
        with_first("raw", clustered_lower=1000.123456),
        with_first("raw", model="nobody"),
    ],
)
def test_each_false_claim_is_refuted(change: Change) -> None:
    assert refuted(bundle_with(change)).startswith("intervals: ")


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def rows(*given: tuple[str, str, str, float | None]) -> bytes:
    view, a, b, value = zip(*given, strict=True)
    return parquet(view=list(view), model_a=list(a), model_b=list(b), value=pa.array(value, pa.float32()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no parquet", "expected a Parquet file"),
        (parquet(view=["raw"]), "expected columns view, model_a, model_b, value"),
        (rows(("raw", "ant", "ant", float("nan"))), "a finite number"),
        (rows(("raw", "ant", "ant", None)), "a finite number"),
        (rows(("raw", "ant", "ant", -1.0)), "each model once with itself"),
        (rows(("raw", "ant", "ant", 1.0), ("raw", "ant", "ant", 1.0)), "each model once with itself"),
        (rows(("raw", "ant", "ant", 1.0), ("raw", "ant", "bee", 1.0)), "a row with itself for every model"),
        (
            rows(("raw", "a", "a", 1.0), ("raw", "b", "b", 1.0), ("raw", "a", "b", 1.0), ("raw", "a", "b", 2.0)),
            "each pair of models once",
        ),
        (rows(("raw", "a", "a", 1.0), ("raw", "b", "b", 1.0), ("raw", "b", "a", 1.0)), "each pair of models once"),
        (rows(*(("raw", "ant", "ant", 1.0) for _ in range(1_000))), "expected at most"),
        (rows(("raw", "ant", "ant", 1.0)), "expected the view defended"),
    ],
)
def test_a_malformed_file_of_sums_is_refuted(data: bytes, message: str) -> None:
    found = refuted(bundle_with(files=lambda it: {**it, SCORES: data}))
    assert message in found or "give no intervals" in found


def test_both_files_or_neither() -> None:
    for name in (INTERVALS, SCORES):
        text = refuted(bundle_with(files=lambda it, name=name: {k: v for k, v in it.items() if k != name}))  # type: ignore[misc]
        assert "expected both" in text


def test_the_sums_come_back_as_they_were_published() -> None:
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((9, 4))
    scores -= scores.mean(axis=1, keepdims=True)
    full = scores.T @ scores
    full[0, 2] = full[2, 0] = 0.0
    given = voter_scores_file.as_published(VoterScores(("d", "a", "c", "b"), full, np.arange(4.0)))
    found = voter_scores_file.read(voter_scores_file.write({"raw": given, "defended": given}), 4)
    for one in found.values():
        assert one.models == given.models
        assert np.array_equal(one.scatter, given.scatter)
        assert np.array_equal(one.fourth, given.fourth)
    assert np.abs(given.scatter.sum(axis=1)).max() < 1e-12


def sums_file(view: str, values: dict[tuple[str, str], float]) -> bytes:
    """A file of sums as anybody may write one."""
    rows = [{"view": view, "model_a": a, "model_b": b, "value": x} for (a, b), x in values.items()]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("view", "values", "reason", "message"),
    [
        ("raw", {(f"m{n}", f"m{n}"): 1.0 for n in range(9)}, "limit", "at most 4 models, got 9"),
        ("other", {("a", "a"): 1.0}, "voter_scores", "got other"),
        ("raw", {("a", "a"): 1.0, ("b", "b"): 1.0, ("a", "b"): 5.0}, "voter_scores", "no negative sum"),
    ],
)
def test_sums_that_nobody_can_have_are_refused(view: str, values: Any, reason: str, message: str) -> None:
    with pytest.raises(Refuted, match=message) as caught:
        voter_scores_file.read(sums_file(view, values), 4)
    assert caught.value.reason == reason


def test_a_row_has_each_column_once() -> None:
    assert tuple(IntervalRow.__dataclass_fields__)[1:] == interval_rows.COLUMNS
