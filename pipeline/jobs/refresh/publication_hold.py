"""Holds a candidate that changes the top of the board too much, until a person releases it.

A candidate is a snapshot before its publication. A candidate that is held is not published.

The defended view of the candidate is compared with the defended view of the newest snapshot. A candidate is held if a
model of the top moves by more than INTEGRITY_HOLD_PLACES places. If this setting is 0, the default, no candidate is
held. The top is the first INTEGRITY_HOLD_TOP ranks of either board. A model that a board lacks counts as one place
below the last rank of that board.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.errors import PublicationHeld
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.alerting import operators_log
from pipeline.store.boards import publication_holds, snapshots, voter_labels

Rows = Sequence[Mapping[str, Any]]
VIEW = "defended"


def far_moves(before: Rows, after: Rows, top: int, places: int) -> list[dict[str, Any]]:
    """Find the models in the first `top` ranks of either board that moved by more than `places` places.

    Args:
        before: rows of the older board.
        after: rows of the newer board.
        top: number of ranks from the top.
        places: number of places. Only moves by more than this number are returned.

    Returns:
        {"model", "before", "after", "places"} of each such model, longest move first. "before" and "after" are ranks,
        None if the board lacks the model. "places" is positive for a move up and negative for a move down. A model that
        a board lacks counts as one place below the board's last rank.
    """
    old, new = ({row["model"]: int(row["rank"]) for row in rows} for rows in (before, after))
    found = []
    for model in sorted(old.keys() | new.keys()):
        was, now_at = old.get(model, len(old) + 1), new.get(model, len(new) + 1)
        in_top = min(old.get(model, top + 1), new.get(model, top + 1)) <= top
        if in_top and abs(was - now_at) > places:
            found.append({"model": model, "before": old.get(model), "after": new.get(model), "places": was - now_at})
    return sorted(found, key=lambda move: (-abs(move["places"]), move["model"]))


def moves_to_hold(connection: Connection, rows: Rows) -> list[dict[str, Any]]:
    """Return the moves of models that are too large to publish a candidate unless a person releases it.

    The list is empty if the candidate need not be held.

    Args:
        connection: a connection to the store.
        rows: the rows of the candidate's defended view.

    Returns:
        The moves from the newest snapshot, in the form that `far_moves` returns.
    """
    options = configuration.load()
    newest = snapshots.latest(connection)
    if newest is None or not options.hold_places:
        return []
    before = snapshots.read_rows(connection, newest.snapshot_id, VIEW)
    return far_moves(before, rows, options.hold_top, options.hold_places)


def expect_no_hold(store: Store, candidate_id: str) -> None:
    """Hold a candidate that moves a model of the top by too many places, unless a person has released the candidate.

    A candidate is a rated snapshot that is not published yet. No error is raised if the candidate has been published
    meanwhile, or if another snapshot was published after the candidate was rated.

    Raises:
        PublicationHeld: the candidate is held. The hold is stored before the error is raised.
        Usage: no candidate has this id.
    """
    with store.read() as connection:
        found = snapshots.find_candidate(connection, candidate_id)
        current = found.body["after"] == snapshots.newest_sequence(connection)
        if found.sequence is not None or not current or publication_holds.is_released(connection, candidate_id):
            return
        moves = moves_to_hold(connection, snapshots.read_rows(connection, candidate_id, VIEW))
    if not moves:
        return
    with store.write() as connection:
        publication_holds.hold(connection, candidate_id, found.body["after"], moves, now())
    options, short = configuration.load(), candidate_id[:12]
    raise PublicationHeld(
        f"expected no model of the top {options.hold_top} to move by more than {options.hold_places} places, got "
        f"{'; '.join(map(describe_move, moves))}: candidate {short} is held and nothing is published. "
        f"`integrity refresh --release {short} --reason WHY` publishes it, see deploy/runbooks/publication-held.md",
        candidate_id,
        moves,
    )


def release(url: str, candidate: str, name: str | None, reason: str) -> str:
    """Release a held candidate, so that it can be published, and record this in the operators' log.

    Args:
        url: address of the store.
        candidate: id of the candidate, or the beginning of the id.
        name: the person who releases the candidate; None for the login of this process.
        reason: reason of the release. Labels replace the pseudonyms and codenames of voters in it.

    Returns:
        The whole id of the candidate.

    Raises:
        Usage: the reason is missing, or no candidate with this id is held.
    """
    with existing_store(url) as store, store.write() as connection:
        moves = {one["snapshot"]: one["moves"] for one in publication_holds.list_open(connection)}
        reason = voter_labels.without_names(connection, reason)
        operator = operators_log.process_operator(name)
        found = publication_holds.release(connection, candidate, operator.name, reason, now())
        before, after = {"held": True, "moves": moves[found]}, {"held": False}
        operators_log.record(
            connection, operator, "publication.release", found, now(), reason=reason, before=before, after=after
        )
    return found


def describe_move(move: Mapping[str, Any]) -> str:
    """Format a move as text: MODEL RANK → RANK."""
    before, after = ("not rated" if move[name] is None else str(move[name]) for name in ("before", "after"))
    return f"{move['model']} {before} → {after}"
