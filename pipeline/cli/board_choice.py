"""Finds in a snapshot the view or board that the options of the commands leaderboard and diff name."""

from typing import Any, Literal

from pipeline.errors import Usage
from pipeline.store.boards.snapshots import PublishedSnapshot

View = Literal["raw", "defended", "style"]


def require_board(found: PublishedSnapshot, view: View, board: str | None) -> dict[str, Any]:
    """Return the fields in a snapshot's body that describe a view, or a board by category or language.

    Raises:
        Usage: the snapshot has no such view or board. The message says why.
    """
    known, short = found.body.get("boards", {}), found.snapshot_id[:12]
    if board is None:
        if view not in found.body["views"]:
            reason = found.body.get("style", {}).get("reason", "snapshots of its version had none")
            raise Usage(f"expected a snapshot with a view {view}, got {short}: {reason}")
        return dict(found.body["views"][view])
    if view != "defended":
        raise Usage(f"--board: expected it with the view defended, the only one of a board by label, got --view {view}")
    if board not in known:
        reason = found.body.get("boards_left_out", {}).get(board, f"it has {', '.join(sorted(known)) or 'no boards'}")
        raise Usage(f"--board: expected a board of snapshot {short}, got {board}: {reason}")
    return dict(known[board])
