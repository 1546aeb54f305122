"""Builds the JSON document of the command history from the results of the audits of each board."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.audits.board_history import BoardHistory, StyleShifts, VoteCountDrop, VoteShares
from pipeline.audits.method_changes import MethodHistory
from pipeline.audits.renamed_models import RenameSuggestion
from pipeline.formats.published_boards import BoardConflict, PublishedHistory


@dataclass(frozen=True, slots=True)
class AuditedBoard:
    """The results of all audits of one published board.

    Attributes:
        history: changes between snapshots: vote counts that fell, names that were removed, shares of organisations and
            licences in the votes, and changes of the first place.
        method: method changes, and single moves: models whose rating moved far beyond the movement of all ratings.
        renames: pairs of names that may be one model.
        conflicts: pairs of rows about one model and day that contradict each other.
    """

    history: BoardHistory
    method: MethodHistory
    renames: tuple[RenameSuggestion, ...]
    conflicts: tuple[BoardConflict, ...]

    @property
    def suspicious(self) -> bool:
        """Whether a vote count fell, a name was removed, or two files contradict each other."""
        return self.history.suspicious or any(one.between_files for one in self.conflicts)


def history_document(
    read: PublishedHistory, found: Mapping[str, AuditedBoard], notes: Sequence[str], renames: Mapping[str, str]
) -> dict[str, Any]:
    """Build the JSON document that `history --json` prints.

    Args:
        read: the files that were read, and the snapshots that were merged from them.
        found: name of a board → the results of its audits.
        notes: sentences about how the files were read.
        renames: old name → new name, as a person stated them.
    """
    return {
        "boards": {board: _document(one) for board, one in found.items()},
        "files": [{"name": one.name, "rows": one.rows, "unread_columns": list(one.unread)} for one in read.files],
        "merged": {
            "repeated": read.merged.repeated,
            "conflicting": read.merged.conflicting,
            "listed_twice": read.merged.within_file,
            "earlier_of_day": read.merged.earlier_of_day,
        },
        "left_out": {reason: {"rows": count, "first": first} for reason, (count, first) in read.left_out.items()},
        "renames": dict(renames),
        "notes": list(notes),
    }


def _document(audited: AuditedBoard) -> dict[str, Any]:
    one = audited.history
    return {
        "snapshots": len(one.days),
        "first": str(one.days[0]),
        "last": str(one.days[-1]),
        "transitions": one.transitions,
        "transitions_with_falling_votes": one.transitions_with_falling_votes,
        "names_seen": one.names_seen,
        "names_gone": len(one.gone),
        "total_falls": [_fall(fall) for fall in one.total_falls],
        "falls": [{"model": fall.model, **_fall(fall)} for fall in one.falls],
        "gone": [{"model": g.model, "last_seen": str(g.last_seen), "votes": g.votes} for g in one.gone],
        "names_twice": [{"snapshot": str(day), "model": model} for day, model in one.names_twice],
        "style_shifts": [_style(style) for style in one.style],
        "shares": [_shares(shares) for shares in one.shares],
        "top_churn": {
            "changes": [asdict(c) | {"before": str(c.before), "day": str(c.day)} for c in one.top.changes],
            "overtakings": one.top.overtakings,
            "by_chance_at_most": one.top.by_chance,
            "p_value": one.top.p_value,
        },
        "transitions_compared": audited.method.compared,
        "method_changes": [
            {"from": str(change.start), "to": str(change.end)} | _without(asdict(change), "start", "end")
            for change in audited.method.changes
        ],
        "single_moves": [
            {"from": str(move.start), "to": str(move.end)} | _without(asdict(move), "start", "end")
            for move in audited.method.moves
        ],
        "rename_suggestions": [
            asdict(rename) | {"last_seen": str(rename.last_seen), "first_seen": str(rename.first_seen)}
            for rename in audited.renames
        ],
        "conflicts": [_conflict(conflict) for conflict in audited.conflicts],
    }


def _without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}


def _conflict(one: BoardConflict) -> dict[str, Any]:
    return {
        "snapshot": str(one.day), "model": one.model, "column": one.column, "first": one.first, "other": one.other,
        "first_file": one.first_file, "first_record": one.first_record, "other_file": one.other_file,
        "other_record": one.other_record,
    }  # fmt: skip


def _fall(fall: VoteCountDrop) -> dict[str, Any]:
    return {"from": str(fall.start), "to": str(fall.end), "before": fall.before, "after": fall.after}


def _style(style: StyleShifts) -> dict[str, Any]:
    return {
        "snapshot": str(style.day),
        "compared": style.compared,
        "shifted": style.shifted,
        "mean_places": style.mean,
        "models": [{"model": m, "rank": rank, "style_rank": controlled} for m, rank, controlled in style.models],
    }


def _shares(shares: VoteShares) -> dict[str, Any]:
    return {
        "snapshot": str(shares.day),
        "votes": shares.total,
        "organizations": shares.organizations,
        "licenses": shares.licenses,
        "license_groups": shares.groups,
        "hhi": shares.hhi,
        "gini": shares.gini,
    }
