"""A quote that is never closed costs its own row alone, and is seen on every way of reading."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BadRecord
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_tables import read_battles, read_by_column
from pipeline.formats.csv_rows import QuoteCheck, csv_rows
from pipeline.formats.left_out import LeftOut
from pipeline.formats.tables import delimited_records

CELLS = st.text(alphabet='a",\n\r\t ', max_size=6)
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=6)
NAMES = ("ant", "bee", "cat", "ant")


def _file(path: Path, broken: str, whole: str = '"it is, say, {}"', delimiter: str = ",", rows: int = 40) -> Path:
    """Write a table whose row 11 has the cell `broken` among its prompts."""
    lines = [delimiter.join(("model_a", "model_b", "winner", "prompt", "lang"))]
    for i in range(rows):
        prompt = broken if i == 11 else whole.format(i)
        lines.append(delimiter.join((NAMES[i % 3], NAMES[i % 3 + 1], ("model_a", "tie")[i % 2], prompt, "en")))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("name", ["votes.csv", "votes.tsv"])
@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ('"he said hi', '"hi {}"'),
        ('"he said hi', "hi {}"),
        ('"he said ""hi', '"say ""{}"""'),
        ('"he said hi', '"two\nlines {}"'),
    ],
)
def test_an_open_quote_costs_its_own_row_alone(name: str, broken: str, whole: str, tmp_path: Path) -> None:
    path = _file(tmp_path / name, broken, whole, "\t" if name.endswith("tsv") else ",")
    assert read_by_column(open_battles(path)) is None
    left_out = LeftOut(skip_bad=True)
    battles = read_battles(open_battles(path), left_out=left_out)
    assert (len(battles), left_out.counts) == (39, {"unknown_outcome": 1})
    line = 13 + 11 * whole.count("\n")
    with pytest.raises(BadRecord, match=rf"record 11 \(line {line}\).*a row with a quote that is not closed"):
        read_battles(open_battles(path))


@pytest.mark.parametrize("cell", ['5" of rain', '"""hi" he', '"so" they say', 'a "b" c', '"a""b"'])
def test_a_quote_within_a_cell_of_one_line_is_read(cell: str, tmp_path: Path) -> None:
    left_out = LeftOut(skip_bad=True)
    assert len(read_battles(open_battles(_file(tmp_path / "votes.csv", cell)), left_out=left_out)) == 40
    assert not left_out.counts


def test_a_row_whose_quotes_are_open_is_waited_for_at_the_end_and_broken_before_it(tmp_path: Path) -> None:
    path = _file(tmp_path / "votes.csv", '"open', "plain", rows=12)
    waits: list[str] = []
    container = open_battles(path).parts[0].container
    assert len(list(delimited_records(container, waits.append))) == 11
    assert waits == ["a row whose quotes are open at the end of the file"]
    with path.open("a") as more:
        more.write('ant,bee,tie,"whole",en\n')
    waits.clear()
    assert len(list(delimited_records(container, waits.append))) == 13
    assert not waits


@given(rows=TABLES, delimiter=st.sampled_from(",;\t"), block=st.integers(1, 7), quoting=st.sampled_from((0, 1)))
def test_what_a_csv_writer_wrote_is_read_back(rows: list[list[str]], delimiter: str, block: int, quoting: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows(rows)
    lines = io.StringIO(text.getvalue(), newline="")
    found = [(row.cells, row.fault) for row in csv_rows(lines, delimiter, None)]
    assert found == [(row, "") for row in rows]
    assert _sound(text.getvalue().encode(), delimiter, block)


@given(text=st.text(alphabet='a",\n', max_size=30), block=st.integers(1, 5))
def test_the_check_of_quotes_agrees_with_a_walk_over_the_signs(text: str, block: int) -> None:
    inside, sound = False, True
    for at, sign in enumerate(text):
        if sign == '"':
            beside = text[at - 1 : at] or "\n" if not inside else text[at + 1 : at + 2] or "\n"
            sound = sound and beside in ',\r\n"'
            inside = not inside
    assert _sound(text.encode(), ",", block) == sound


def _sound(raw: bytes, delimiter: str, block: int) -> bool:
    checked = QuoteCheck(io.BytesIO(raw), delimiter)
    while checked.read(block):
        pass
    return checked.sound
