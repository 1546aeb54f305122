"""bench formats on small files: both files hold the same votes, and each reader reads all of them."""

from pathlib import Path

import pytest

from pipeline.errors import Unavailable
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_tables import read_by_column
from pipeline.lab.bench import format_speed

VOTES = 10_000


@pytest.mark.long
def test_each_reader_reads_every_vote_in_a_process_of_its_own(tmp_path: Path) -> None:
    lines: list[str] = []
    found = format_speed.measure(tmp_path, VOTES, 1, lines.append)
    assert [(one.kind, one.votes) for one in found] == [("Parquet", VOTES), ("JSON Lines", VOTES)]
    for one in found:
        assert one.ratio == pytest.approx(one.bare_seconds / one.seconds)
        assert 0 < one.peak_mb < format_speed.MOST_MB
    assert len(lines) == 3
    read = [read_by_column(open_battles(tmp_path / f"battles.{suffix}")) for suffix in ("parquet", "jsonl")]
    assert read[0] is not None
    assert read[1] is not None
    assert read[0].models == read[1].models
    assert read[0].voters == read[1].voters
    for name in ("a", "b", "outcome", "voter"):
        assert getattr(read[0], name).tolist() == getattr(read[1], name).tolist()
    assert read[0].flags["anonymous"].mean() == pytest.approx(0.9, abs=0.02)


def test_a_reader_that_fails_is_named_with_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"no Parquet")
    with pytest.raises(Unavailable, match=r"expected ours to read a\.parquet, got: .*expected Parquet"):
        format_speed._run("ours", tmp_path / "a.parquet", 1)
