"""Finds the files of published boards, and derives from a file's path which board it contains.

The arena's dataset has a folder for each board (text, vision, webdev …) with a file for each split (latest, full),
perhaps in shards. So the name of a board is the part of the path that names neither a split nor a shard.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from pipeline.errors import UnknownFormat
from pipeline.formats.containers import SUFFIXES, Container, inspect, list_files
from pipeline.formats.published_boards.board_documents import Rows, bundle_rows, is_bundle

SUBSETS = frozenset(
    {
        "agent", "code", "copilot", "document", "image_edit", "image_to_video", "search", "search_style_control",
        "text", "text_style_control", "text_to_image", "text_to_video", "video", "video_edit", "vision",
        "vision_style_control", "webdev", "webdev_style_control",
    }
)  # fmt: skip
"""Names of boards. A file or folder with such a name contains the board with this name."""

# Parts of a path that name no board.
_GENERIC = frozenset(
    {"latest", "full", "data", "default", "main", "part", "parts", "shard", "shards", "test", "train", "validation"}
)
_SHARD = re.compile(r"(?:[-_.]?(?:part|shard)[-_.]?\d+|[-_.]?\d+[-_]of[-_]\d+|[-_.]\d{4,}|^\d+)$")
_SPLIT_SUFFIX = re.compile(r"[-_.](?:latest|full)$")
_DAY = re.compile(r"(?<!\d)(\d{4}-\d{2}-\d{2})(?!\d)")
_COMPRESSED = (".gz", ".gzip", ".zst", ".zstd")


@dataclass(frozen=True, slots=True)
class BoardFile:
    """A file with published boards.

    Attributes:
        name: path of the file relative to the path that the caller gave, for messages.
        subset: name of the board, taken from the names of the folders and of the file; "" if they contain none. If the
            caller gave this file alone, its path is used only if it looks like a path of the arena's dataset.
        folders: name of the board, taken from the names of the folders only; "" if they contain none.
        alone: whether the caller gave the path of this file and of no other.
        day: the day in the file's name as YYYY-MM-DD; "" if the name has none.
        container: path and format of the file; None for a bundle.
        rows: the rows of a bundle; None for other files.
    """

    name: str
    subset: str = ""
    folders: str = ""
    alone: bool = True
    day: str = ""
    container: Container | None = None
    rows: Rows | None = None


def find_board_files(paths: Sequence[Path]) -> list[BoardFile]:
    """Return the files that some paths name.

    Args:
        paths: files, folders with everything in them, globs, and bundles.

    Raises:
        UnknownFormat: a folder contains no file of a known kind, or a bundle cannot be read.
    """
    found: list[BoardFile] = []
    listed = [(root, path) for root in paths for path in _listed(root)]
    above = paths[0].absolute().parents if paths else ()
    shared = next((one for one in above if all(root.absolute().is_relative_to(one) for root in paths)), Path("/"))
    for root, path in listed:
        if is_bundle(path):
            found += [BoardFile(name, rows=rows) for name, rows in bundle_rows(path).items()]
        else:
            alone = len(listed) == 1 and path == root
            found.append(_board_file(root, path, shared, alone))
    return found


def _board_file(root: Path, path: Path, shared: Path, alone: bool) -> BoardFile:
    *folders, file = _below(root, path, shared)
    stem = _stem(file)
    by_folders, by_place = _named(folders), _named([*folders, _bare(stem)])
    own = _own_subset(path)
    day = _DAY.search(stem)
    return BoardFile(
        "/".join([*folders, file]),
        own if alone else "/".join(by_place) or own,
        "" if alone else "/".join(by_folders),
        alone,
        day[1] if day else "",
        inspect(path),
    )


def _listed(root: Path) -> list[Path]:
    if not root.is_dir():
        return list_files(root)
    if is_bundle(root):
        return [root]
    bundles = sorted(path.parent for path in root.rglob("manifest.json"))
    zips = sorted(root.rglob("*.zip"))
    try:
        files = list_files(root)
    except UnknownFormat:
        files = []
    inside = set(bundles)
    files = [file for file in files if not inside.intersection(file.parents)]
    if not (files or bundles or zips):
        raise UnknownFormat(f"expected files named {', '.join(SUFFIXES)}, or bundles, found none at {root}")
    return [*bundles, *zips, *files]


def _below(root: Path, path: Path, shared: Path) -> tuple[str, ...]:
    """Return the parts of a path below the given folder or below the fixed part of a glob.

    For a file that was given itself, these are the parts below the folder that all given files share.
    """
    if path == root:
        return path.absolute().relative_to(shared).parts
    fixed = list(takewhile(lambda part: not any(sign in part for sign in "*?["), root.parts))
    return path.relative_to(Path(*fixed)).parts


def _own_subset(path: Path) -> str:
    """Return the name of the arena's board in a file's name, or else in the folders above; "" if they name none."""
    stem = _bare(_stem(path.name))
    if _is_subset(stem):
        return stem
    if _SPLIT_SUFFIX.search(stem):
        return _SPLIT_SUFFIX.sub("", stem)
    folder = next((part for part in reversed(path.parent.parts) if part.lower() not in _GENERIC), "")
    structured = stem.lower() in {"", *_GENERIC} and ("-of-" in path.name or not path.is_absolute())
    return folder if _is_subset(folder) or (structured and folder not in ("", ".", "..", "/")) else ""


def _is_subset(name: str) -> bool:
    return name.lower().replace("-", "_") in SUBSETS


def _named(parts: Sequence[str]) -> list[str]:
    named = [_SPLIT_SUFFIX.sub("", part) for part in parts]
    return [part for part in named if part and part.lower() not in _GENERIC and not part.isdigit()]


def _stem(name: str) -> str:
    for suffix in (*_COMPRESSED, *SUFFIXES):
        if name.lower().endswith(suffix):
            name = name[: -len(suffix)]
    return name


def _bare(stem: str) -> str:
    """Return the stem of a file's name without a day and without the number of a shard."""
    return _SHARD.sub("", _DAY.sub("", stem).strip("-_. "))
