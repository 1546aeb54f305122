"""The elements of a JSON array are read one by one. One that is too large costs no other element."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UnknownFormat
from pipeline.events.strict_checks import MAX_BYTES
from pipeline.formats import json_pieces
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_tables import read_battles
from pipeline.formats.json_pieces import read_elements
from pipeline.formats.left_out import LeftOut

NASTY = 'a "quoted" ]}{[, text \\ with "\\" signs'
VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='ab"\\[]{}, \n', max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('k"\\}', max_size=3), inner, max_size=4),
    max_leaves=30,
)


@pytest.mark.parametrize("large", [{"text": [NASTY] * 100_000}, [[NASTY]] * 100_000, NASTY * 100_000, 7], ids=type)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_large_element_is_cut_and_all_others_are_read(large: object, place: int) -> None:
    array: list[object] = [{"a": 1}, {"b": "]"}]
    array.insert(place, large)
    found = list(read_elements(io.BytesIO(json.dumps(array).encode()), "votes.json"))
    assert len(found) == len(array)
    for number, (raw, one) in enumerate(zip(found, array, strict=True)):
        if number == place and large != 7:
            assert (len(raw), raw) == (MAX_BYTES + 1, json.dumps(one).encode()[: MAX_BYTES + 1])
        else:
            assert json.loads(raw) == one


@given(array=st.lists(VALUES, min_size=1, max_size=6), piece=st.integers(min_value=1, max_value=9))
def test_any_bound_and_any_pieces_give_the_same_elements(array: list[object], piece: int) -> None:
    raw = json.dumps(array).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_pieces, "_PIECE", piece)
        patch.setattr(json_pieces, "MAX_RECORD", 8)
        found = list(read_elements(io.BytesIO(raw), "votes.json"))
    texts = [json.dumps(one).encode() for one in array]
    assert len(found) == len(texts)
    assert all(one == text or (len(one) > 8 and text.startswith(one)) for one, text in zip(found, texts, strict=True))


def test_a_large_element_that_never_ends_is_an_error_with_its_number() -> None:
    raw = b'[1, {"a": "' + b"x" * 3_000_000
    elements = read_elements(io.BytesIO(raw), "votes.json")
    assert next(elements) == b"1"
    with pytest.raises(UnknownFormat, match="record 1: expected JSON of at most"):
        next(elements)


def test_a_large_record_is_left_out_alone(tmp_path: Path) -> None:
    rows = [{"model_a": "ant", "model_b": "bee", "winner": "tie", "prompt": f"p{i}"} for i in range(9)]
    rows[4]["prompt"] = NASTY * 200_000
    rows[7]["winner"] = "?"
    path = tmp_path / "votes.json"
    path.write_text(json.dumps(rows))
    left_out = LeftOut(skip_bad=True)
    battles = read_battles(open_battles(path), left_out=left_out)
    assert (len(battles), dict(left_out.counts)) == (7, {"too_large": 1, "unknown_outcome": 1})
