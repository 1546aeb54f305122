"""Each line of a log is published once, whatever happens to the log and to the process that follows it."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import Usage
from pipeline.events.strict_checks import MAX_BYTES
from pipeline.stream.follow.line_reader import line_blocks
from pipeline.stream.follow.log_file import LogFile
from pipeline.stream.follow.log_files import LogFiles
from pipeline.stream.follow.prefix_digest import BLOCK, PrefixDigest
from tests.unit.stream.follow.log_scene import Scene, copy_truncate, rename


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_lines_are_published_once_as_they_come(scene: Scene) -> None:
    scene.write("a", "1", "2")
    scene.poll()
    scene.write("a", "2", "3")
    scene.write("late", "4")
    scene.settle()
    assert scene.stored() == scene.written == Counter({"1": 1, "2": 2, "3": 1, "4": 1})
    assert scene.sent == 5


def test_a_half_line_waits_for_its_newline(scene: Scene) -> None:
    scene.write("a", "1")
    (scene.folder / "a").open("a").write("ha")
    scene.settle()
    assert scene.stored() == Counter({"1": 1})
    assert scene.tracker.behind() == 2
    (scene.folder / "a").open("a").write("lf\r\n\n")
    scene.settle()
    assert scene.stored() == Counter({"1": 1, "half": 1})


def test_lines_that_are_no_events_count_as_records_of_the_log(scene: Scene) -> None:
    (scene.folder / "a").write_text("#x\none\n\n#y\ntwo\n")
    (batch,) = scene.tracker.poll()
    assert batch.rows == [1, 3]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("rotate", [rename, copy_truncate])
def test_a_rotated_log_is_read_to_its_end_and_no_further(scene: Scene, rotate, killed: bool) -> None:
    scene.write("a", *"12")
    scene.poll()
    scene.write("a", *"34")
    if killed:
        scene.poll(killed_after=1)
    rotate(scene, "a", "a.1")
    scene.write("a", *"45")
    scene.settle()
    scene.write("a", *"6")
    scene.settle()
    assert scene.stored() == scene.written
    assert scene.sent == 7 + 2 * killed  # what was sent and not remembered is sent again, with the same ids


@pytest.mark.parametrize("down", [False, True])
def test_two_rotations_and_a_compressed_log(scene: Scene, down: bool) -> None:
    scene.write("a", *"12")
    scene.settle()
    scene.write("a", *"3")
    for step in range(2):
        if down:
            scene.restart()
        if (scene.folder / "a.1").exists():
            packed = gzip.compress((scene.folder / "a.1").read_bytes())
            (scene.folder / "a.2.gz").write_bytes(packed)
            (scene.folder / "a.1").unlink()
        copy_truncate(scene, "a", "a.1")
        scene.write("a", f"new {step}")
        if not down:
            scene.settle()
    scene.settle()
    assert scene.stored() == scene.written
    assert scene.sent == 5


def test_a_compressed_log_is_read_when_it_is_complete(scene: Scene) -> None:
    packed = gzip.compress(b"".join(b"%d\n" % n for n in range(5_000)) + b"last")
    path = scene.folder / "a.gz"
    path.write_bytes(packed[:-100])
    scene.settle()
    assert not scene.store
    assert "cannot be read" in scene.notes[0]
    path.write_bytes(packed)
    scene.settle()
    assert scene.stored() == Counter([*map(str, range(5_000)), "last"])
    assert scene.sent == 5_001


def test_a_deleted_log_is_read_to_its_end(scene: Scene) -> None:
    scene.write("a", "1")
    scene.poll()
    scene.write("a", "2")
    scene.write("a", "no newline", end="")
    (scene.folder / "a").unlink()
    scene.settle()
    assert scene.stored() == scene.written
    assert scene.tracker.files == 0


def test_a_log_that_is_replaced_by_a_longer_copy_goes_on(scene: Scene) -> None:
    scene.write("a", "1", "2")
    scene.settle()
    (scene.folder / ".a").write_text("1\n2\n3\n")
    scene.written["3"] += 1
    (scene.folder / ".a").replace(scene.folder / "a")
    scene.settle()
    assert scene.stored() == scene.written
    assert scene.sent == 3


def test_a_copy_of_a_log_that_still_grows_is_not_read(scene: Scene) -> None:
    scene.write("a", "1", "2")
    scene.settle()
    shutil.copyfile(scene.folder / "a", scene.folder / "backup")
    scene.settle()
    scene.write("a", "3")
    scene.settle()
    assert (scene.sent, scene.tracker.files) == (3, 1)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("rotate", [rename, copy_truncate])
def test_a_log_that_is_rotated_to_another_kind_of_name_is_read_to_its_end(scene: Scene, rotate, down: bool) -> None:
    scene.write("a", "1")
    (scene.folder / "b.bak").write_text("of nobody\n")
    scene.settle()
    scene.write("a", "2")
    rotate(scene, "a", "a.bak")
    scene.write("a", "3")
    if down:
        scene.restart()
    scene.settle()
    (scene.folder / "b.bak").write_text("of nobody\nat all\n")
    scene.settle()
    assert scene.stored() == scene.written
    assert scene.sent == 3


def test_another_file_with_the_inode_of_a_log_is_not_read(scene: Scene) -> None:
    scene.write("a", "1", "2")
    scene.settle()
    rename(scene, "a", "a.bak")
    scene.settle()
    (scene.folder / "a.bak").write_text("something else\n")
    scene.settle()
    assert scene.stored() == scene.written
    assert scene.tracker.files == 0


def test_a_truncated_half_line_is_reported(scene: Scene) -> None:
    scene.write("a", "1")
    (scene.folder / "a").open("a").write("half")
    scene.settle()
    (scene.folder / "a").write_text("")
    scene.settle()
    said = (
        "a: truncated, or replaced before its last 4 bytes were read; a copy of the log, if there is one, is read from "
    )
    assert scene.notes == [said + "there on"]


def test_a_rewritten_log_of_the_same_length_is_a_new_one(scene: Scene) -> None:
    scene.write("a", "one", "two")
    scene.settle()
    (scene.folder / "a").write_text("uno\ndue\n")
    os.utime(scene.folder / "a", ns=(1, 1))
    scene.settle()
    assert set(scene.stored()) == {"one", "two", "uno", "due"}


def test_a_line_that_is_too_large_is_cut_and_the_next_one_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"small\n" + b"x" * 5_000_000 + b"\nnext\n" + b"y" * 5_000_000)
    file, digest = LogFile(path), PrefixDigest()
    lines = []
    for block in line_blocks(file, digest):
        lines += block.lines
        digest = block.digest
    assert [len(line) for line in lines] == [5, MAX_BYTES + 1, 4]
    assert digest.size == 5_000_012


@given(st.lists(st.binary(max_size=3 * BLOCK), max_size=4))
def test_a_digest_depends_on_the_bytes_alone_and_can_be_continued(parts: list[bytes]) -> None:
    whole, steps = PrefixDigest(), PrefixDigest()
    whole.update(b"".join(parts))
    for part in parts:
        steps.update(part)
    assert steps.hexdigest() == whole.hexdigest()
    at = whole.size // BLOCK * BLOCK
    resumed = PrefixDigest(at, whole.chain)
    resumed.update(b"".join(parts)[at:])
    assert resumed.hexdigest() == whole.hexdigest()


def test_the_files_of_a_folder_and_of_a_log(tmp_path: Path) -> None:
    for name in ("2026-08-14-conv.json", "server/2026-08-14-conv.json.1.gz", "server.log", ".2026-08-14-conv.json.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folder = LogFiles.of(tmp_path, "")
    logs = [name for name in folder.paths() if folder.is_log(name)]
    assert sorted(logs) == ["2026-08-14-conv.json", "server/2026-08-14-conv.json.1.gz"]
    log = LogFiles.of(tmp_path / "server.log", "")
    names = ("server.log", "server.log.1", "server.log-20260814", "server.logs", "other.log")
    assert [log.is_log(name) for name in names] == [True, True, True, False, False]
    for path, said in (("table.csv", "JSON Lines"), ("nowhere/x.json", "does not exist")):
        with pytest.raises(Usage, match=said):
            LogFiles.of(tmp_path / path, "")


@pytest.mark.parametrize(("seed", "length"), [(1, 10), (2, 800)])
def test_a_log_that_is_written_and_rotated_while_it_is_read(scene: Scene, seed: int, length: int) -> None:
    """In two threads, with a follower that is killed at random; lines are numbered."""
    writes, reads, written = random.Random(seed), random.Random(-seed), 0  # noqa: S311

    def write() -> None:
        nonlocal written
        for rotation in range(30):
            for _ in range(writes.randrange(1, 12)):
                lines = range(written, written + writes.randrange(1, 15))
                with (scene.folder / "log").open("a") as file:
                    file.write("".join(f"{n} {'x' * length}\n" for n in lines))
                written = lines.stop
                time.sleep(writes.random() * 0.003)
            (rename if writes.random() < 0.5 else copy_truncate)(scene, "log", f"log.{rotation}")

    writer = Thread(target=write)
    writer.start()
    while writer.is_alive():
        scene.poll(killed_after=reads.choice([1, 3, 1_000_000, 1_000_000]))
    scene.settle()
    scene.settle()
    assert len(scene.store) == written
    assert scene.sent < 3 * written


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(st.sampled_from("abc"), min_size=1, max_size=4)),
        st.tuples(st.just("half"), st.sampled_from("abc")),
        st.sampled_from([("poll",), ("settle",), ("kill", 1), ("kill", 2), ("rename",), ("copy",), ("pack",)]),
    ),
    max_size=25,
)


@given(STEPS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_line_once_for_any_order_of_writes_rotations_and_kills(steps: list[tuple]) -> None:
    """Some lines of one log are identical, and stay as many as were written."""
    with tempfile.TemporaryDirectory() as folder:
        scene, rotations, half = Scene(Path(folder)), 0, ""
        for step in [*steps, ("end",)]:
            if step[0] in ("rename", "copy", "end", "write", "half") and half:
                scene.write("log", "")
                scene.written[""] -= 1
                half = ""
            if step[0] == "write":
                scene.write("log", *(f"{rotations} {text}" for text in step[1]))
            elif step[0] == "half":
                half = f"{rotations} {step[1]}"
                scene.write("log", half, end="")
            elif step[0] in ("rename", "copy") and (Path(folder) / "log").exists():
                rotations += 1
                (rename if step[0] == "rename" else copy_truncate)(scene, "log", f"log.{rotations}")
            elif step[0] == "pack":
                for path in [path for path in Path(folder).glob("log.*") if path.suffix != ".gz"][:1]:
                    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
                    path.unlink()
            elif step[0] == "kill":
                scene.poll(killed_after=step[1])
            elif step[0] in ("poll", "settle"):
                getattr(scene, step[0])()
        scene.settle()
        scene.settle()
        assert scene.stored() == +scene.written
