"""Makes tests/golden/merkle_vectors.json, the good and the bad proofs: python -m tests.unit.ledger.make_vectors.

What is good and bad is decided by recursion on the definitions (below), not by the code under test. The shape is that
of the vectors of transparency-dev/merkle: many more bad cases than good ones.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.unit.ledger import slow_merkle

Case = dict[str, Any]
FILE = Path(__file__).parents[2] / "golden" / "merkle_vectors.json"
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 130)
# The spoilt ones of all these sizes together would be a megabyte.
SPOILT = {0, 1, 2, 3, 4, 5, 7, 8, 9, 33, 64, 129, 130}
ENTRIES = [b"entry %d" % i for i in range(131)]
NOISE = sha256(b"noise").hexdigest()


def up(m: int, n: int, leaf: bytes, path: list[bytes]) -> bytes | None:
    """The root that a path leads to, by the recursion that defines it."""
    if n == 1:
        return leaf if not path and m == 0 else None
    if not path:
        return None
    k = slow_merkle.split(n)
    below = up(m, k, leaf, path[:-1]) if m < k else up(m - k, n - k, leaf, path[:-1])
    if below is None:
        return None
    return sha256(b"\x01" + (below + path[-1] if m < k else path[-1] + below)).digest()


def both(m: int, n: int, old: bytes, path: list[bytes], *, complete: bool) -> tuple[bytes, bytes] | None:
    """The two roots that a consistency proof leads to."""
    if m == n:
        if complete:
            return None if path else (old, old)
        return (path[0], path[0]) if len(path) == 1 else None
    if not path:
        return None
    k = slow_merkle.split(n)
    below = (
        both(m, k, old, path[:-1], complete=complete) if m <= k else both(m - k, n - k, old, path[:-1], complete=False)
    )
    if below is None:
        return None
    if m <= k:
        return below[0], sha256(b"\x01" + below[1] + path[-1]).digest()
    return sha256(b"\x01" + path[-1] + below[0]).digest(), sha256(b"\x01" + path[-1] + below[1]).digest()


def included(case: Case) -> bool:
    if not 0 <= case["index"] < case["size"] or any(len(one) != 64 for one in case["path"]):
        return False
    path = [bytes.fromhex(one) for one in case["path"]]
    found = up(case["index"], case["size"], bytes.fromhex(case["leaf"]), path)
    return found is not None and found.hex() == case["root"]


def consistent(case: Case) -> bool:
    old, new = case["old"], case["new"]
    if not 0 <= old <= new or any(len(one) != 64 for one in case["path"]):
        return False
    if old == 0:
        return (
            not case["path"]
            and case["old_root"] == sha256(b"").hexdigest()
            and (new or case["new_root"] == case["old_root"])
        )
    path = [bytes.fromhex(one) for one in case["path"]]
    found = both(old, new, bytes.fromhex(case["old_root"]), path, complete=True)
    return found is not None and [one.hex() for one in found] == [case["old_root"], case["new_root"]]


def spoilt_paths(path: list[str]) -> Iterator[tuple[str, list[str]]]:
    yield "a hash too many at the end", [*path, NOISE]
    yield "a hash too many at the beginning", [NOISE, *path]
    if not path:
        return
    yield "the last hash missing", path[:-1]
    yield "the first hash missing", path[1:]
    yield "no hash at all", []
    yield "the last hash twice", [*path, path[-1]]
    yield "in the other order", path[::-1]
    yield "a hash too short", [*path[:-1], path[-1][:-2]]
    for place in {0, len(path) // 2, len(path) - 1}:
        flipped = bytearray.fromhex(path[place])
        flipped[place % 32] ^= 1 << place % 8
        yield f"a bit of hash {place} flipped", [*path[:place], flipped.hex(), *path[place + 1 :]]


def inclusions() -> Iterator[Case]:
    for size in SIZES[1:]:
        for index in sorted({0, size // 2, size - 1}):
            path = [one.hex() for one in slow_merkle.path(index, ENTRIES[:size])]
            leaf = sha256(b"\x00" + ENTRIES[index]).hexdigest()
            good = {
                "index": index,
                "size": size,
                "root": slow_merkle.root(ENTRIES[:size]).hex(),
                "leaf": leaf,
                "path": path,
            }
            yield {"what": "good", **good}
            if size not in SPOILT:
                continue
            for what, change in (
                ("the next leaf", {"index": index + 1}),
                ("the leaf before", {"index": index - 1}),
                ("beyond the end", {"index": size}),
                ("one leaf more", {"size": size + 1}),
                ("one leaf less", {"size": size - 1}),
                ("twice as many leaves", {"size": size * 2}),
                ("no leaves", {"size": 0}),
                ("another leaf", {"leaf": NOISE}),
                ("another root", {"root": NOISE}),
                ("the root of the empty log", {"root": sha256(b"").hexdigest()}),
                ("the leaf as the root", {"root": leaf}),
                *((what, {"path": spoilt}) for what, spoilt in spoilt_paths(path)),
            ):
                yield {"what": what, **good, **change}


def consistencies() -> Iterator[Case]:
    for new in SIZES:
        for old in sorted({0, 1, new // 2, new - 1, new, *(size for size in (2, 8, 64, 127) if new in (129, 130))}):
            if not 0 <= old <= new:
                continue
            roots = [slow_merkle.root(ENTRIES[:size]).hex() for size in (old, new)]
            path = [one.hex() for one in slow_merkle.proof(old, ENTRIES[:new])]
            good = {"old": old, "new": new, "old_root": roots[0], "new_root": roots[1], "path": path}
            yield {"what": "good", **good}
            if new not in SPOILT:
                continue
            for what, change in (
                ("one old leaf more", {"old": old + 1}),
                ("one old leaf less", {"old": old - 1}),
                ("one new leaf more", {"new": new + 1}),
                ("one new leaf less", {"new": new - 1}),
                ("the sizes swapped", {"old": new, "new": old}),
                ("another old root", {"old_root": NOISE}),
                ("another new root", {"new_root": NOISE}),
                ("the roots swapped", {"old_root": roots[1], "new_root": roots[0]}),
                *((what, {"path": spoilt}) for what, spoilt in spoilt_paths(path)),
            ):
                yield {"what": what, **good, **change}


def chosen(cases: Iterator[Case], is_good: Any) -> list[Case]:
    """All good ones; of the spoilt ones those that the definition refuses (some spoilt sizes give the same tree)."""
    marked = [{**case, "good": bool(is_good(case))} for case in cases]
    unique = {json.dumps({k: v for k, v in case.items() if k != "what"}): case for case in marked[::-1]}
    return [case for case in list(unique.values())[::-1] if case["what"] == "good" or not case["good"]]


def made() -> dict[str, Any]:
    return {
        "entries": "b'entry %d' for 0 … 130",
        "roots": [slow_merkle.root(ENTRIES[:size]).hex() for size in range(131)],
        "inclusion": chosen(inclusions(), included),
        "consistency": chosen(consistencies(), consistent),
    }


if __name__ == "__main__":
    lists = made()
    lines = [
        f' "{name}": '
        + (json.dumps(value) if isinstance(value, str) else "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]")
        for name, value in lists.items()
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
