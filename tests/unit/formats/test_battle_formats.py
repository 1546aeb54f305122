"""Every public format, in every container, gives the votes that the same battles give in our own format."""

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import BadRecord
from pipeline.events import decode_votes
from pipeline.events.vote import VOTE_FIELDS
from pipeline.formats import ColumnMapping, read_records
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_records import read_by_record
from pipeline.formats.battle_tables import read_battles, read_by_column
from pipeline.formats.format_notes import format_notes
from pipeline.ratings.battle_columns import BattleColumns
from pipeline.ratings.battle_ratings import RatingOptions, rate_battles
from pipeline.ratings.method import ALL_VOTES, apply_method
from pipeline.settings.method_file import load_method
from tests.unit.formats.samples import ANONYMITY, FORMATS, ONE_TIE, STYLED, Row, battles, own_event

COUNT = 500
LABELS: dict[str, Callable[[Row], set[str]]] = {
    "arena-human-preference-100k": lambda row: _chosen(row, complexity="creative", math="math", code="code"),
    "arena-human-preference-140k": lambda row: _chosen(row, creative_writing="creative", math="math", code="code"),
    "arena-expert-5k": lambda row: _chosen(row, Mathematical="math", Writing="creative"),
    "compar:IA votes": lambda row: {"country:fr"},  # noqa: ARG005
}
SESSIONS = {"FastChat log": None, "arena-human-preference-140k": "", "compar:IA votes": "s"}
WITHOUT_TIMES = {"arena-human-preference-55k", "arena-expert-5k", "MT-bench human judgments"}


def _json(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def _lines(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _table(delimiter: str, nested: Callable[[object], str]) -> Callable[[Path, Sequence[Row]], Path]:
    def write(path: Path, rows: Sequence[Row]) -> Path:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(
                {k: nested(v) if isinstance(v, dict | list) else v for k, v in row.items()} for row in rows
            )
        return path

    return write


def _parquet(path: Path, rows: Sequence[Row]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def _gzip(path: Path, rows: Sequence[Row]) -> Path:
    path.write_bytes(gzip.compress(_lines(path.with_suffix(".plain"), rows).read_bytes()))
    return path


def _zstd(path: Path, rows: Sequence[Row]) -> Path:
    with pa.CompressedOutputStream(str(path), "zstd") as out:
        out.write(_table(",", json.dumps)(path.with_suffix(".plain"), rows).read_bytes())
    return path


def _shards(path: Path, rows: Sequence[Row]) -> Path:
    path.mkdir()
    for i in range(0, len(rows), 200):
        _parquet(path / f"part-{i:05}.parquet", rows[i : i + 200])
    return path


CONTAINERS: dict[str, Callable[[Path, Sequence[Row]], Path]] = {
    "a.json": _json,
    "lines.json": _lines,
    "a.jsonl": _lines,
    "a.csv": _table(",", json.dumps),
    "repr.csv": _table(",", repr),
    "a.tsv": _table("\t", json.dumps),
    "a.parquet": _parquet,
    "a.jsonl.gz": _gzip,
    "a.csv.zst": _zstd,
    "shards": _shards,
}


def _chosen(row: Row, **labels: str) -> set[str]:
    return {label for label, key in labels.items() if row[key]}


def _same(found: BattleColumns, other: BattleColumns) -> None:
    assert found.models == other.models
    for name in ("a", "b", "outcome"):
        np.testing.assert_array_equal(getattr(found, name), getattr(other, name), err_msg=name)
    assert found.voters == other.voters
    np.testing.assert_array_equal(found.voter, other.voter)
    for name, (labels, codes) in found.groups.items():
        assert labels == other.groups[name][0], name
        np.testing.assert_array_equal(codes, other.groups[name][1], err_msg=name)
    for side in (0, 1):
        np.testing.assert_array_equal(found.style[side], other.style[side])
    known = {name for name, values in found.flags.items() if (values >= 0).any()}
    assert known == {name for name, values in other.flags.items() if (values >= 0).any()}
    for name in known:
        np.testing.assert_array_equal(found.flags[name], other.flags[name], err_msg=name)
    assert _labels(found) == _labels(other)


def _labels(found: BattleColumns) -> list[set[str]]:
    labels, bits = found.categories
    return [{label for k, label in enumerate(labels) if row >> k & 1} for row in bits.tolist()]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.long
def test_a_format_gives_the_same_votes_on_every_road(tmp_path: Path, form: str, container: str) -> None:
    rows = battles(COUNT)
    written = [FORMATS[form](row) for row in rows]
    path = CONTAINERS[container](tmp_path / container, written)
    file = open_battles(path)
    assert file.form.name == form
    by_column, by_record = read_by_column(file), read_by_record(file, None)
    assert (by_column is None) == (form == "FastChat log")
    if by_column is not None:
        _same(by_column, by_record)
    _same(by_record, read_battles(open_battles(_lines(tmp_path / "other.jsonl", written))))
    assert list(read_records(path)) == list(read_records(tmp_path / "other.jsonl"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_gives_the_votes_that_were_written(tmp_path: Path, form: str) -> None:
    rows = battles(COUNT)
    found = read_battles(open_battles(_lines(tmp_path / "a.jsonl", [FORMATS[form](row) for row in rows])))
    tie = {"both_bad": "tie"} if form in ONE_TIE else {}
    outcomes = ["model_a", "model_b", "tie", "both_bad"]
    assert [
        (found.models[a], found.models[b], outcomes[o])
        for a, b, o in zip(found.a.tolist(), found.b.tolist(), found.outcome.tolist(), strict=True)
    ] == [(row["model_a"], row["model_b"], tie.get(row["winner"], row["winner"])) for row in rows]
    if found.has_voters:
        names = [found.voters[v].removeprefix("arena_user_").replace("203.0.113.", "v") for v in found.voter.tolist()]
        assert names == [row["voter"] for row in rows]
    expected = {
        "anonymous": [row["anonymous"] for row in rows],
        "refusal": [row["refusal"] for row in rows],
        "code": [row["code"] for row in rows],
        "deduplicated": [row["frequent"] and not row["sampled"] for row in rows],
    }
    for name, values in found.flags.items():
        assert values.tolist() == [int(value) for value in expected[name]], name
    if found.has_style.any():
        style = [[row["style"]["tokens_a"], row["style"]["headers_a"], row["style"]["lists_a"], 3, 0] for row in rows]
        assert found.style[0].tolist() == style
    if form in LABELS:
        assert _labels(found) == [LABELS[form](row) for row in rows]


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in WITHOUT_TIMES])
def test_events_of_a_format_are_votes(tmp_path: Path, form: str) -> None:
    rows = battles(COUNT)
    votes, _, rejects = decode_votes(
        list(read_records(_parquet(tmp_path / "a.parquet", [FORMATS[form](r) for r in rows])))
    )
    assert not rejects
    assert len({vote.vote_id for vote in votes}) == COUNT
    assert [vote.cast_at.timestamp() for vote in votes] == [row["time"] for row in rows]
    assert [vote.turn for vote in votes] == [row["turn"] for row in rows]
    for name, values in _stated(form, rows).items():
        assert [getattr(vote, name) for vote in votes] == values, name


def _stated(form: str, rows: list[Row]) -> dict[str, list[object]]:
    """Return field of a vote → its values, for fields that few formats have."""
    fields: dict[str, list[object]] = {}
    if form in SESSIONS:
        prefix = SESSIONS[form]
        fields["session"] = [f"c{row['n']}a" if prefix is None else prefix + row["voter"] for row in rows]
    if form in LABELS:
        fields["categories"] = [tuple(sorted(LABELS[form](row))) or None for row in rows]
    if form in ANONYMITY:
        fields["anonymous"] = [row["anonymous"] for row in rows]
    if form == "arena-human-preference-100k":
        fields["refusal"] = [row["refusal"] for row in rows]
        fields["deduplicated"] = [row["frequent"] and not row["sampled"] for row in rows]
    return fields


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    ("values", "outcomes"),
    [
        ({"model_a": 1, "model_b": 0, "tie": 2, "both_bad": 3}, "1=model_a,0=model_b,2=tie,3=both_bad"),
        ({"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "both_bad": 0.5}, "1=model_a,0=model_b,.5=tie"),
        ({"model_a": "A", "model_b": "B", "tie": "E", "both_bad": "E"}, "A=model_a,B=model_b,E=tie"),
        ({"model_a": True, "model_b": False, "tie": True, "both_bad": False}, "true=model_a,False=model_b"),
        (
            {"model_a": "left", "model_b": "right", "tie": "even", "both_bad": "even"},
            "left=model_a,right=model_b,even=tie",
        ),
    ],
)
def test_outcomes_may_be_numbers_truth_or_words(tmp_path: Path, container: str, values, outcomes: str) -> None:
    rows = [{"model_a": r["model_a"], "model_b": r["model_b"], "winner": values[r["winner"]]} for r in battles(60)]
    file = open_battles(CONTAINERS[container](tmp_path / container, rows), ColumnMapping.parse("", outcomes))
    found = read_by_column(file)
    assert found is not None
    # A value that stands for two outcomes means the first of them.
    first = {outcome: list(values.values()).index(value) for outcome, value in values.items()}
    wanted = [first[row["winner"]] for row in battles(60)]
    assert found.outcome.tolist() == wanted
    _same(found, read_by_record(file, None))


def test_a_winner_may_be_a_name(tmp_path: Path) -> None:
    rows = [{"left": "ant", "right": "bee", "won": won} for won in ("ant", "bee", "tie", "ant")]
    mapping = ColumnMapping.parse("model_a=left,model_b=right,winner=won", "", "name")
    for name, write in CONTAINERS.items():
        file = open_battles(write(tmp_path / name, rows), mapping)
        found = read_by_column(file)
        assert found is not None, name
        assert found.outcome.tolist() == [0, 1, 2, 0], name
        _same(found, read_by_record(file, None))


def test_columns_that_are_not_read_are_named(tmp_path: Path) -> None:
    file = open_battles(_lines(tmp_path / "a.jsonl", [FORMATS["compar:IA votes"](row) for row in battles(3)]))
    assert file.unread == (
        "conversation_pair_id",
        "is_unedited_prompt",
        "conv_useful_a",
    )


def test_pairs_without_an_outcome_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "battled_pairs.csv"
    path.write_text("model_a,model_b,winner\nant,bee,model_a\nant,bee,\nbee,ant,tie(all bad)\n")
    found = read_battles(open_battles(path))
    assert found.outcome.tolist() == [0, 3]


def test_events_hold_what_a_vote_holds_and_nothing_of_a_rating(tmp_path: Path) -> None:
    rows = [FORMATS["arena-human-preference-140k"](row) for row in battles(20)]
    events = [json.loads(raw) for raw in read_records(_lines(tmp_path / "a.jsonl", rows))]
    assert set().union(*events) <= VOTE_FIELDS


def test_a_column_that_serves_nothing_is_listed(tmp_path: Path) -> None:
    row = FORMATS["FastChat battles"](battles(1)[0])
    assert open_battles(_lines(tmp_path / "a.jsonl", [row])).unread == ("conversation_a", "conversation_b")


def test_a_vote_of_several_categories_counts_in_each(tmp_path: Path) -> None:
    rows = battles(300)
    found = read_battles(open_battles(_lines(tmp_path / "a.jsonl", [FORMATS["arena-expert-5k"](row) for row in rows])))
    rated = rate_battles(found, RatingOptions(group="category"), lambda *_: nullcontext(lambda _: None))
    votes = {group.label: group.votes for group in rated.groups}
    assert votes == {
        "Mathematical": sum(row["math"] for row in rows),
        "Writing": sum(row["creative"] for row in rows),
    }


@pytest.mark.parametrize(
    "labels", [["x" * 201], ["a\u200bb"], [f"{n} {'x' * 150}" for n in range(14)]], ids=["long", "hidden", "many"]
)
def test_categories_that_no_vote_may_have_are_refused_on_every_road(tmp_path: Path, labels: list[str]) -> None:
    row = FORMATS["arena-human-preference-140k"](battles(1)[0])
    path = _lines(tmp_path / "a.jsonl", [{**row, "category_tag": {"v1": dict.fromkeys(labels, True)}}])
    assert read_by_column(open_battles(path)) is None
    with pytest.raises(BadRecord, match="record 0"):
        read_battles(open_battles(path))


def test_many_long_categories_are_read_by_column_where_no_vote_has_all(tmp_path: Path) -> None:
    row, labels = FORMATS["arena-human-preference-140k"](battles(1)[0]), [f"{n:02} {'x' * 150}" for n in range(40)]
    groups = [labels[:12], labels[12:24], labels[24:36], labels[36:]]
    rows = [{**row, "id": str(n), "category_tag": {"v1": dict.fromkeys(some, True)}} for n, some in enumerate(groups)]
    found = read_by_column(open_battles(_lines(tmp_path / "a.jsonl", rows)))
    assert found is not None
    assert [some - {"code"} for some in _labels(found)] == [set(some) for some in groups]


@pytest.mark.parametrize("form", FORMATS)
def test_ratings_equal_those_of_the_same_votes_in_our_own_format(tmp_path: Path, form: str) -> None:
    rows = battles(COUNT)
    theirs = read_battles(open_battles(_lines(tmp_path / "a.jsonl", [FORMATS[form](row) for row in rows])))
    ours = read_battles(open_battles(_lines(tmp_path / "b.jsonl", [own_event(row, form) for row in rows])))
    shipped = load_method("arena", "--method")
    for method in (ALL_VOTES, shipped):
        (left, counts), (right, same) = apply_method(theirs, method), apply_method(ours, method)
        assert {rule: n for rule, n in counts.items() if n} == {rule: n for rule, n in same.items() if n}
        options = [RatingOptions(by_voter=theirs.has_voters)]
        options += [RatingOptions(style=True)] if form in STYLED else []
        for one in options:
            boards = [rate_battles(part, one, lambda *_: nullcontext(lambda _: None)).board for part in (left, right)]
            assert boards[0].models == boards[1].models
            for name in ("rating", "se", "votes"):
                np.testing.assert_allclose(getattr(boards[0], name), getattr(boards[1], name), rtol=0, atol=1e-6)


def test_a_list_of_which_one_entry_is_read_is_named(tmp_path: Path) -> None:
    row = FORMATS["search-arena-24k"](battles(1)[0])
    notes = format_notes(open_battles(_lines(tmp_path / "a.jsonl", [row])))
    assert "of the list languages only the first entry was read" in notes
