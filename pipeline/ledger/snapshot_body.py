"""Checks that the body of a snapshot in a bundle agrees with the signed manifest.

Readers of the API see the body, so the body must not contradict the manifest.
"""

import json
from dataclasses import asdict
from typing import Any

import rfc8785

from ..errors import Refuted
from . import interval_rows, size_limits, voter_scores_file
from .bundle import EXCLUDED, SNAPSHOT, BundleFiles
from .manifest import Manifest, PublishedView, sha256_hex


def check_body(files: BundleFiles, manifest: Manifest) -> None:
    """Check that the fields of a snapshot's body agree with the manifest.

    A bundle of an earlier version has no body; nothing is checked then.

    Args:
        files: the bundle. The caller has checked the digest of the body.
        manifest: the verified manifest.

    Raises:
        Refuted: reason `snapshot`: a field differs; the message names the field. Reason `limit`: the body is too large.
    """
    if SNAPSHOT not in manifest.files:
        return
    raw = files[SNAPSHOT]
    size_limits.require_size(SNAPSHOT, len(raw), size_limits.MAX_JSON)
    try:
        body = json.loads(raw)
        canonical = rfc8785.dumps(body)
    except (ValueError, RecursionError) as error:
        raise Refuted("snapshot", SNAPSHOT, f"expected JSON in the form of RFC 8785: {error}") from None
    if canonical != raw or not isinstance(body, dict):
        raise Refuted("snapshot", SNAPSHOT, "expected an object in the form of RFC 8785")
    known, stated_boards = manifest.boards or {}, body.get("boards", {})
    for name in stated_boards if isinstance(stated_boards, dict) else ():
        if name not in known:
            raise Refuted("snapshot", f"{SNAPSHOT}.boards", f"expected boards of the manifest, got {name[:80]!r}")
    for where, stated, expected in _pairs(body, _expected(manifest), SNAPSHOT):
        if stated != expected:
            raise Refuted("snapshot", where, f"the manifest gives {expected!r:.200}, the body {stated!r:.200}")


def _expected(manifest: Manifest) -> dict[str, Any]:
    views = {"raw": manifest.views.raw, "defended": manifest.views.defended}
    boards = manifest.boards or {}
    more: dict[str, Any] = {"intervals": _intervals(manifest)}
    if manifest.method is not None:
        more["method"] = {**asdict(manifest.method), "rules": list(manifest.method.rules)}
    return {
        **more,
        "log_size": manifest.vote_log.size,
        "log_root": manifest.vote_log.root,
        "settings": dict(manifest.configuration.values),
        "code": manifest.code.version,
        "verdict": manifest.quality.id or None,
        "votes_counted": manifest.views.defended.votes,
        "votes_excluded": sum(one.votes for one in manifest.exclusions),
        "excluded": {"sha256": manifest.files[EXCLUDED], "votes": [one.votes for one in manifest.exclusions]},
        "alerts": [[one.id, one.detector, one.severity] for one in manifest.alerts],
        "watermark": [[one.source, one.partition, one.next_offset] for one in manifest.watermark],
        "unregistered": list(manifest.unregistered or ()),
        "notices": [asdict(one) for one in manifest.notices or ()],
        "views": {name: _view(view) for name, view in views.items()},
        "rows": {name: _rows_digest(view) for name, view in (*views.items(), *boards.items())},
        "boards": {name: _view(view) for name, view in boards.items()},
    }


def _intervals(manifest: Manifest) -> dict[str, str] | None:
    """Return what the body must state about intervals: the SHA-256 of their file and of the file of sums over voters.

    The result is None if the manifest lists neither file.
    """
    names = {"sha256": interval_rows.PATH, "scores_sha256": voter_scores_file.PATH}
    found = {key: manifest.files[path] for key, path in names.items() if path in manifest.files}
    return {key: str(digest) for key, digest in found.items()} or None


def _view(view: PublishedView) -> dict[str, Any]:
    return {
        "votes": view.votes,
        "counts_sha256": view.counts_sha256,
        "gradient_norm": view.gradient_norm,
        "models": len(view.rows),
    }


def _rows_digest(view: PublishedView) -> str:
    rows = sorted((asdict(row) for row in view.rows), key=lambda row: str(row["model"]))
    return sha256_hex(rfc8785.dumps({"rows": rows}))


def _pairs(stated: dict[str, Any], expected: dict[str, Any], where: str) -> list[tuple[str, Any, Any]]:
    """Return the fields that two objects have in common, as (place in the body, stated value, expected value)."""
    found: list[tuple[str, Any, Any]] = []
    for name, value in expected.items():
        other = stated.get(name)
        if name not in stated:
            continue
        if isinstance(value, dict) and isinstance(other, dict) and name != "settings":
            found += _pairs(other, value, f"{where}.{name}")
        else:
            found.append((f"{where}.{name}", other, value))
    return found
