"""Reads the stories about private variants, claims and removals in the form for the public, with links to their proofs.

Sentences about models under test are only counted. A registry event about such a model is listed with its number, time
and type, but without its id, which may contain a name.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from pipeline.api.citations import bibtex_entry, csl_item
from pipeline.api.error_responses import Problem, not_found
from pipeline.api.snapshot_summaries import summarize_snapshot
from pipeline.api.store_reader import StoreReader
from pipeline.store.boards import prepared_answers
from pipeline.store.boards.hidden_models import HiddenModels
from pipeline.store.read import page_queries
from pipeline.store.votes import registry_events

# Alerts of one audit that are looked through for those behind sentences.
_ALERTS = 1_000


def newest_story(reader: StoreReader, connection: Connection, snapshot_id: str | None = None) -> tuple[str, int]:
    """Return the key of the newest story: the id of the story's snapshot, and the number of its newest registry event.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        snapshot_id: id of a snapshot to find the newest story about it; None to find the newest of all stories.

    Raises:
        Problem: status 404, if there is no snapshot or story.
    """
    newest = reader.latest(connection) if snapshot_id is None else reader.snapshot(connection, snapshot_id)
    found = prepared_answers.newest_story(connection, snapshot_id)
    if found is None:
        raise Problem(404, f"snapshot {newest.snapshot_id[:12]} has no story: the next refresh writes one")
    return found


def public_story(
    reader: StoreReader, connection: Connection, snapshot_id: str, events: int, site: str
) -> dict[str, Any]:
    """Return a story in the form for the public, with the fields of `StoryDocument`.

    Args:
        reader: reads the store.
        connection: a connection to the store.
        snapshot_id: id of the story's snapshot.
        events: number of the story's newest registry event.
        site: the address under which readers reach the pages; "" for a citation without a link.

    Raises:
        Problem: status 404, if there is no such story.
    """
    snapshot = reader.snapshot(connection, snapshot_id)
    name = prepared_answers.story_name(snapshot_id, events)
    stored: dict[str, Any] | None = prepared_answers.read(connection, name, "story")
    if stored is None:
        raise not_found("the number of the newest registry event of a story about this snapshot", str(events))
    hidden = reader.hidden(connection)
    sentences = [one for check in stored["checks"] for one in check["sentences"]]
    proofs = _Proofs(connection, sentences, hidden)
    checks = [_public_check(check, proofs, hidden) for check in stored["checks"]]
    address = f"/snapshots/{snapshot_id}/variants/{events}"
    board = reader.board_name(connection)
    return {
        **{name: stored[name] for name in ("snapshot", "sequence", "events", "since", "as_of")},
        "address": address,
        "found": sum(bool(check["sentences"] or check["under_test"]) for check in checks),
        "checks": checks,
        "policy": hidden.document(stored["policy"]),
        "registry": [one for one in proofs.events.values() if one["number"] in proofs.cited],
        "bibtex": _bibtex(board, summarize_snapshot(reader, connection, snapshot), events, f"{site}{address}", site),
    }


def _bibtex(board: str, snapshot: Mapping[str, Any], events: int, address: str, site: str) -> str:
    item = csl_item(board, snapshot, site)
    title = f"Private variants, claims and removals on {board}, snapshot {snapshot['sequence']}"
    changed = {"id": f"{item['id']}-variants-{events}", "title": title}
    note = f"{item['note']}; registry up to event {events}"
    return bibtex_entry({**item, **changed, "note": note, **({"URL": address} if site else {})})


class _Proofs:
    """Registry events, snapshots and alerts behind the sentences of a story."""

    def __init__(self, connection: Connection, sentences: Iterable[Mapping[str, Any]], hidden: HiddenModels) -> None:
        told = list(sentences)
        wanted = {one for sentence in told for one in sentence["events"]}
        self.events = {row["key"]: _public_event(row, hidden) for row in _events(connection, wanted)}
        self.cited: set[int] = set()
        named = {one for sentence in told for one in sentence["snapshots"]}
        self.snapshots = page_queries.snapshot_ids(connection, named)
        audits = sorted({sentence["finding"][0] for sentence in told if sentence["finding"]})
        self.alerts = {
            (audit, one["subject"]["id"], one["direction"]): one["id"]
            for audit in audits
            for _, one in page_queries.list_alerts(connection, _ALERTS, public=False, detector=audit)
        }


def _events(connection: Connection, wanted: set[str]) -> Iterable[dict[str, Any]]:
    return (row for row in registry_events.list_events(connection) if row["key"] in wanted) if wanted else ()


def _public_event(row: Mapping[str, Any], hidden: HiddenModels) -> dict[str, Any]:
    """Return number, type, time, id, model and SHA-256 of a registry event. The last three are None if it is hidden.

    An event is hidden if it names a model under test.
    """
    shown = {name: row[name] for name in ("number", "type", "at")}
    if row["model"] in hidden or row["other"] in hidden:
        return {**shown, "event_id": None, "model": None, "sha256": None}
    return {**shown, "event_id": row["key"], "model": row["model"], "sha256": row["sha256"]}


def _public_check(check: Mapping[str, Any], proofs: _Proofs, hidden: HiddenModels) -> dict[str, Any]:
    shown = [one for one in check["sentences"] if one["model"] not in hidden]
    return {
        **check,
        "sentences": [_public_sentence(one, proofs, hidden) for one in shown],
        "under_test": len(check["sentences"]) - len(shown),
    }


def _public_sentence(one: Mapping[str, Any], proofs: _Proofs, hidden: HiddenModels) -> dict[str, Any]:
    numbers = sorted(proofs.events[key]["number"] for key in one["events"] if key in proofs.events)
    proofs.cited |= set(numbers)
    alert = proofs.alerts.get(tuple(one["finding"])) if one["finding"] else None
    kept = ("text", "figure", "unit", "since", "until", "provider", "model", "p_value")
    return {
        **hidden.document({name: one[name] for name in kept}),
        "events": numbers,
        "snapshots": [proofs.snapshots[number] for number in one["snapshots"] if number in proofs.snapshots],
        "alert": alert,
    }
