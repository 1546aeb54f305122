"""Our own JSON Lines are read at once where that is sure to give what the decoder gives record by record."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import BadRecord
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_records import read_by_record
from pipeline.formats.battle_tables import read_battles, read_by_column

_STYLE = {"tokens": 9, "headers": 1, "lists": 0, "bold": 2, "emoji": 0}
_OPTIONAL: dict[str, st.SearchStrategy[object]] = {
    "voter_id": st.sampled_from(["v1", "v2", "10.0.0.1", ""]),
    "language": st.sampled_from(["en", "fr"]),
    "category": st.just("maths"),
    "anonymous": st.booleans(),
    "refusal": st.booleans(),
    "deduplicated": st.booleans(),
    "turn": st.integers(1, 9),
    "session": st.just("s"),
    "categories": st.lists(st.sampled_from(["code", "maths", "if"]), max_size=3, unique=True),
    "style_a": st.just(_STYLE),
    "style_b": st.just({**_STYLE, "tokens": 3}),
}
_VOTES = st.fixed_dictionaries(
    {
        "schema": st.just(1),
        "vote_id": st.sampled_from([f"i{n}" for n in range(20)]),
        "cast_at": st.just("2024-08-14T00:00:00Z"),
        "model_a": st.sampled_from(["ant", "bee"]),
        "model_b": st.sampled_from(["cat", "bee"]),
        "winner": st.sampled_from(["model_a", "model_b", "tie", "both_bad"]),
    },
    optional=_OPTIONAL,
)


def _summary(found) -> tuple[object, ...]:
    labels, bits = found.categories
    return (
        found.models,
        list(found.voters),
        [column.tolist() for column in (*found.codes, found.voter, *found.style)],
        {name: (names, codes.tolist()) for name, (names, codes) in found.groups.items()},
        {name: values.tolist() for name, values in found.flags.items() if (values >= 0).any()},
        [{label for place, label in enumerate(labels) if row >> place & 1} for row in bits.tolist()],
        found.repeated,
        found.conflicting,
    )


_VOTE = {"schema": 1, "vote_id": "i", "cast_at": "2024-08-14T00:00:00Z", "model_b": "bee", "winner": "model_a"}
_ONLY_LABELS_ON_A_SELF_BATTLE = [{**_VOTE, "model_a": "ant"}, {**_VOTE, "model_a": "bee", "categories": ["code"]}]


@settings(max_examples=80, deadline=None)
@given(st.lists(_VOTES, min_size=1, max_size=12), st.sampled_from(["\n", "\r\n", "\n\n"]))
@example(_ONLY_LABELS_ON_A_SELF_BATTLE, "\n")
def test_reading_at_once_equals_reading_by_record(tmp_path_factory: pytest.TempPathFactory, votes, end: str) -> None:
    path = tmp_path_factory.mktemp("own") / "a.jsonl"
    path.write_bytes("".join(json.dumps(vote, sort_keys=True, separators=(",", ":")) + end for vote in votes).encode())
    file = open_battles(path)
    at_once = read_by_column(file)
    if at_once is not None:
        assert _summary(at_once) == _summary(read_by_record(file, None))


def _line(**changes: object) -> str:
    vote = {"schema": 1, "vote_id": "i", "cast_at": "2024-08-14T00:00:00Z", "model_a": "ant", "model_b": "bee"}
    return json.dumps({**vote, "winner": "tie", **changes}) + "\n"


def test_plain_votes_are_read_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(_line() + _line(vote_id="j", anonymous=False, categories=["code"]))
    assert read_by_column(open_battles(tmp_path / "a.jsonl")) is not None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (_line().replace('"winner": "tie"', '"winner": "tie", "winner": "model_a"'), "duplicate_key"),
        (_line(model_b="b\u202ee"), "text"),
        (_line(schema=2), "unknown_schema"),
        (_line(winner="draw"), "unknown_outcome"),
        (_line(categories=["a", 3]), "wrong_type"),
    ],
)
def test_a_record_that_is_no_vote_is_named_with_its_row(line: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(_line() + line)
    assert read_by_column(open_battles(tmp_path / "a.jsonl")) is None
    with pytest.raises(BadRecord, match=rf"record 1 \(line 2\): {reason}"):
        read_battles(open_battles(tmp_path / "a.jsonl"))


def test_categories_beyond_the_first_63_are_counted_and_their_votes_stay(tmp_path: Path) -> None:
    lines = [_line(vote_id=f"i{n}", categories=[f"c{n}"]) for n in range(64)]
    (tmp_path / "a.jsonl").write_text("".join(lines[:63]))
    assert len(read_battles(open_battles(tmp_path / "a.jsonl")).categories[0]) == 63
    (tmp_path / "a.jsonl").write_text("".join(lines))
    found = read_battles(open_battles(tmp_path / "a.jsonl"))
    assert (len(found), found.categories[0], found.more_categories) == (64, tuple(f"c{n}" for n in range(63)), 1)
    assert found.categories[1].tolist() == [*(1 << n for n in range(63)), 0]
