"""Reads a battle file in a process of its own; prints the votes read, the error, and the most memory that it took."""

import json
import sys
from pathlib import Path

from pipeline.errors import BadInput
from pipeline.formats import read_records
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_tables import read_battles

way, path = sys.argv[1], Path(sys.argv[2])
read, error = 0, ""
try:
    if way == "table":
        read = len(read_battles(open_battles(path)))
    else:
        for _ in read_records(path):
            read += 1
except BadInput as fault:
    error = type(fault).__name__
    sys.stderr.write(f"{fault}\n"[:500])
# Not ru_maxrss, which a process takes over from the one that started it.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
sys.stdout.write(json.dumps({"read": read, "error": error, "bytes": int(peak.split()[1]) * 1024}))
