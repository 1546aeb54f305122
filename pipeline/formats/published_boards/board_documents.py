"""Reads our own exports as rows of boards: boards as JSON, histories of a model, and bundles.

A JSON document with the field `rows` gives its rows. The other plain values of the document, such as the view and the
time, are added to each row. The manifest of a bundle gives the rows of its views.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import UnknownFormat

Rows = list[dict[str, Any]]

MANIFESTS = ("manifest.json", "previous.json")
"""The files with boards in a bundle: the manifests of the bundle's snapshot and of the previous snapshot."""

MAX_DOCUMENT = 64 * 1024 * 1024
"""Largest size in bytes of a JSON document that is decoded at once."""

_FIGURES = ("rating", "lower", "upper", "rank", "votes")
_PLAIN = (str, int, float)


def decode_json(data: bytes) -> Any:
    """Decode JSON. NaN, which pandas writes for a missing value, is accepted.

    Raises:
        ValueError: the data are not JSON.
    """
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(data.decode("utf-8", "backslashreplace"), strict=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def document_rows(document: object) -> Rows | None:
    """Return the rows of a JSON document that this project exported; None for any other document.

    Plain values of the document, such as its view, are added to each row.
    """
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("views"), dict) and "at" in document:
        return list(_manifest_rows(document))
    rows = document.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    shared = {key: value for key, value in document.items() if isinstance(value, _PLAIN) and key != "next"}
    if "board" in shared:
        shared.pop("view", None)  # a board by category or language is of the defended view
    if "published_at" in shared or all("published_at" in row for row in rows):
        shared.pop("snapshot", None)  # the id of the snapshot, not its day
        rows = [{key: value for key, value in row.items() if key != "snapshot"} for row in rows]
    return [{**shared, **row} for row in rows]


def bundle_rows(path: Path) -> dict[str, Rows]:
    """Return the rows in the manifests of a bundle: name of the manifest's file → its rows.

    Args:
        path: the folder or the zip of a bundle.

    Raises:
        UnknownFormat: the file is not a zip, or a manifest is not JSON or lacks the views of a snapshot.
    """
    found = {}
    for name, data in _manifests(path):
        try:
            rows = document_rows(decode_json(data))
        except ValueError as error:
            raise UnknownFormat(f"{path.name}/{name}: expected JSON: {error}") from None
        if rows is None:
            raise UnknownFormat(f"{path.name}/{name}: expected the manifest of a snapshot with its views")
        found[f"{path.name}/{name}"] = rows
    return found


def is_bundle(path: Path) -> bool:
    """Return whether a path is a bundle: a folder with a manifest, or a zip."""
    return path.suffix.lower() == ".zip" if path.is_file() else (path / MANIFESTS[0]).is_file()


def _manifests(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for name in MANIFESTS:
            if (path / name).is_file():
                yield name, _limited(path / name, (path / name).stat().st_size, (path / name).read_bytes)
        return
    try:
        with zipfile.ZipFile(path) as packed:
            names = set(packed.namelist())
            if MANIFESTS[0] not in names:
                raise UnknownFormat(f"{path.name}: expected a bundle with {MANIFESTS[0]}")
            for name in [name for name in MANIFESTS if name in names]:
                yield name, _limited(path / name, packed.getinfo(name).file_size, lambda name=name: packed.read(name))
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise UnknownFormat(f"{path.name}: expected the zip of a bundle: {error}") from None


def _limited(path: Path, size: int, read: Any) -> bytes:
    if size > MAX_DOCUMENT:
        raise UnknownFormat(f"{path.name}: expected at most {MAX_DOCUMENT:,} bytes, got {size:,}")
    data: bytes = read()
    return data


def _manifest_rows(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    boards = manifest.get("boards")  # by category and language, such as category/math
    for view, published in {**manifest["views"], **(boards if isinstance(boards, dict) else {})}.items():
        rows = published.get("rows") if isinstance(published, dict) else None
        for row in rows if isinstance(rows, list) else []:
            if isinstance(row, dict):
                figures = {name: row.get(name) for name in _FIGURES}
                shared = {"board": manifest.get("board"), "published_at": manifest["at"], "view": view}
                yield {**shared, "model": row.get("model"), **figures}
