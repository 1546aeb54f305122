"""Reads a battle file in a separate process several times, and prints time and memory.

    python -m pipeline.lab.bench.battle_file_task READER PATH REPEATS

READER is one of READERS. The bare readers do the least work that any reader must do. `bare_parquet` reads the columns
that a rating needs and encodes their texts as dictionaries. `bare_lines` decodes every line.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_tables import read_by_column
from pipeline.formats.vote_collector import TEXTS
from pipeline.lab.bench.peers.timed_task import peak_mb
from pipeline.vocabulary.visible_text import json_text

_BLOCK = 8 * 1024 * 1024


def ours(path: Path) -> int:
    """Read a battle file with this project's reader, as the command `rate` does, and return the number of votes."""
    found = read_by_column(open_battles(path))
    return 0 if found is None else len(found)


def bare_parquet(path: Path) -> int:
    """Read the columns of a Parquet file that a rating needs, encode texts as dictionaries, and count the rows."""
    wanted = open_battles(path).form.rating_columns(TEXTS)
    table = pq.read_table(path, columns=[name for name in pq.read_schema(path).names if name in wanted])
    encoded = [column.dictionary_encode() for column in table.columns if pa.types.is_string(column.type)]
    return max(map(len, encoded), default=0)


def bare_lines(path: Path) -> int:
    """Decode all lines of a file with msgspec, and return their number."""
    decode = msgspec.json.Decoder().decode_lines
    return sum(len(decode(block)) for block in _blocks(path))


def _blocks(path: Path) -> Iterator[bytes]:
    rest = b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            end = block.rfind(b"\n") + 1
            yield rest + block[:end]
            rest = block[end:]


READERS: dict[str, Callable[[Path], int]] = {"ours": ours, "bare_parquet": bare_parquet, "bare_lines": bare_lines}


def main(reader: str, path: str, repeats: str) -> None:
    """Read the file once to warm up and then `repeats` times, and print one JSON document.

    The document has the number of votes, time and CPU time in seconds of each reading, and the peak memory in MB.
    """
    run, seconds, cpu, votes = READERS[reader], [], [], 0
    for _ in range(1 + int(repeats)):
        started, used = time.perf_counter(), time.process_time()
        votes = run(Path(path))
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
    found = {"votes": votes, "seconds": seconds[1:], "cpu": cpu[1:], "peak_mb": peak_mb()}
    sys.stdout.write(json_text(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
