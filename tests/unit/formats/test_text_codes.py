"""Texts coded piece by piece equal those read one by one; ids repeat where their texts do."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.formats.repeated_ids import RepeatedIds
from pipeline.formats.text_codes import TextCodes, VoterCodes
from pipeline.formats.text_hashes import hash_texts
from pipeline.vocabulary.voter_identity import PLACEHOLDERS, find_voter, parse_proxies

_ODD = [
    "",
    " ",
    "NaN",
    "arena_user",
    "arena_user_10.0.0.1",
    "user_none",
    "IP:-",
    "3",
    "3.0",
    "3.05",
    " null ",
    "ｎａｎ",
]
_ODD += ["198.51.100.7", "arena_user_198.51.100.7", "::1", "arena_user_fe80::1", "1.2.3.4,10.0.0.1", "\u017f", "v1"]
_VOTERS = st.one_of(st.none(), st.sampled_from([*_ODD, *sorted(PLACEHOLDERS)]), st.text(max_size=6))
_IDS = st.one_of(st.none(), st.text("ab01-", max_size=3), st.text("abcdefgh", min_size=7, max_size=40))


def _pieces(rows: list[str | None], size: int) -> list[pa.DictionaryArray]:
    return [pa.array(rows[at : at + size], pa.string()).dictionary_encode() for at in range(0, len(rows), size)]


@settings(deadline=None)
@given(st.lists(_VOTERS, max_size=30), st.integers(1, 12))
def test_voters_are_those_found_one_by_one(rows: list[str | None], size: int) -> None:
    proxies = parse_proxies("198.51.100.0/24")
    codes = VoterCodes(proxies)
    for piece in _pieces(rows, size):
        codes.add(piece)
    voters, positions = codes.finish()
    names = voters.to_pylist()
    assert names == sorted(set(names))
    found = [names[place] if place >= 0 else None for place in positions.tolist()]
    assert found == [find_voter(row, proxies) for row in rows]
    assert set(names) == {name for name in found if name is not None}


@settings(deadline=None)
@given(st.lists(_VOTERS, max_size=30), st.integers(1, 12))
def test_texts_are_coded_alike_in_every_piece(rows: list[str | None], size: int) -> None:
    codes = TextCodes()
    parts = [codes.add(piece) for piece in _pieces(rows, size)]
    labels, table = codes.sort()
    positions = table[np.concatenate([np.zeros(0, np.int32), *parts])]
    assert list(labels) == sorted({row for row in rows if row})
    assert [labels[place] if place >= 0 else None for place in positions.tolist()] == [row or None for row in rows]


@settings(deadline=None)
@given(st.lists(_IDS, max_size=40), st.integers(1, 12))
def test_ids_repeat_where_their_texts_do(rows: list[str | None], size: int) -> None:
    ids = RepeatedIds()
    for piece in _pieces(rows, size):
        ids.add(piece)
    identity, known = ids.identity(), [row for row in rows if row]
    if len(set(known)) == len(known):
        assert identity is None
        return
    assert identity is not None
    assert [code < 0 for code in identity.tolist()] == [not row for row in rows]
    pairs = {(row, code) for row, code in zip(rows, identity.tolist(), strict=True) if row}
    assert len(pairs) == len(set(known)) == len({code for _, code in pairs})


def test_texts_that_differ_have_other_hashes() -> None:
    texts = [f"{i:08x}" for i in range(20_000)] + ["a" * i for i in range(200)]
    found = hash_texts(pa.array(texts))
    assert all(len(set(row.tolist())) == len(texts) for row in found)
    sliced = hash_texts(pa.array(["x", *texts]).slice(1))
    np.testing.assert_array_equal(sliced, found)
