"""The four steps of a refresh."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from sqlalchemy.engine import Connection

from pipeline import settings as configuration
from pipeline.errors import BadCounts, QualityGate
from pipeline.jobs.open_store import existing_store, now
from pipeline.jobs.refresh import publishing, signing
from pipeline.jobs.refresh.counting import VIEWS, about, board, inputs, reference, rows_of
from pipeline.jobs.refresh.style_view import style_view
from pipeline.settings import Settings
from pipeline.store.boards import exclusions, snapshots, verdicts
from pipeline.store.log import seals, tile_cache
from pipeline.store.read import status as figures

# Of a refresh that others overtake: the scheduler's and a person's are two.
_TRIES = 3


def store_url() -> str:
    """The store of the settings."""
    return configuration.load().store


def seal(store: str) -> int:
    """Append committed votes to the log.

    Returns:
        The size of the log.
    """
    with existing_store(store) as it:
        with it.write() as connection:
            sealed = seals.seal(connection, it.files, now())
        tile_cache.write(it.files, sealed.grown)
        with it.read() as connection:
            tile_cache.bring_up(connection, it.files)
    return sealed.size


def check(store: str, log_size: int) -> str:
    """Hold the votes that are new since the last good verdict against the expectations.

    Returns:
        The id of the verdict.

    Raises:
        BadCounts: the log is empty. That is no verdict: a board that has just been made must page nobody.
        QualityGate: a critical expectation failed; the verdict is stored.
    """
    if not log_size:
        raise BadCounts("expected votes in the log, got none yet: there is nothing to check or to rate")
    import pandas as pd  # noqa: PLC0415  # slow to import, and only this step needs them

    from pipeline import quality  # noqa: PLC0415

    with existing_store(store) as it:
        with it.read() as connection:
            good = verdicts.last_good(connection, "votes")
            if good is not None and good.log_size == log_size:
                return good.verdict_id
            columns = verdicts.votes_between(connection, good.log_size if good else 0, log_size)
        if good is not None and not columns["vote_id"]:
            return good.verdict_id  # the log grew by retractions alone: there is no new vote to look at
        frame = pd.DataFrame(columns)
        for name in ("cast_at", "appended_at"):
            frame[name] = pd.to_datetime(frame[name], unit="us", utc=True)
        verdict = quality.check("votes", frame)
        with it.write() as connection:
            verdict_id = verdicts.add(connection, "votes", log_size, verdict.success, verdict.as_json(), now())
    if not verdict.success:
        raise QualityGate(
            f"votes up to {log_size} fail: {'; '.join(verdict.critical_failures)} (verdict {verdict_id}): "
            "nothing is published, see deploy/runbooks/quality-gate.md"
        )
    return verdict_id


def rate(store: str, log_size: int) -> str:
    """Rate the log at a size: raw, defended, and under style control where votes have style counts.

    Returns:
        The id of the candidate.

    Raises:
        RatingError: the votes allow no comparison (too small a connected part, or no convergence).
    """
    options = configuration.load()
    with existing_store(store) as it, it.write() as connection:
        if options.auto_voter:
            exclusions.apply_auto_voter(connection, now())
        work = _work(connection, log_size, options)
        newest = snapshots.latest(connection)
        if newest is not None and newest.body["work"] == work:
            return newest.snapshot_id
        given = inputs(connection, log_size)
        boards = {view: board(given.views[view], options) for view in VIEWS}
        style = style_view(given.styled, {number: name for name, number in given.model_no.items()}, options)
        if style.board is not None:
            boards["style"] = style.board
        # Of the same look as `newest`: one published since would be followed by its own double.
        number = newest.sequence if newest is not None else 0
        body = {
            "work": work,
            "log_size": log_size,
            "log_root": work["log_root"],
            "settings": options.shaping(),
            "code": version("leaderboard-integrity"),
            "votes_counted": given.views["defended"].total,
            "votes_excluded": given.excluded,
            "votes_flagged": given.flagged,
            "exclusions": given.exclusions,
            "excluded": publishing.keep_excluded(it.files, given),
            "alerts": publishing.open_alerts(connection),
            "watermark": publishing.positions(connection, log_size),
            "verdict": verdicts.last_id(connection, "votes"),
            "views": {view: about(shown, given.views.get(view)) for view, shown in boards.items()},
            "style": {"votes": style.votes, "coefficients": style.coefficients, "reason": style.reason},
            "rows": {view: snapshots.digest_of({"rows": rows_of(shown)}) for view, shown in boards.items()},
            "after": number,
        }
        rows = {view: rows_of(shown) for view, shown in boards.items()}
        key = snapshots.digest_of({"work": work, "after": number})
        return snapshots.add_candidate(connection, key, body, rows, reference(given), now())


def publish(store: str, candidate: str) -> dict[str, Any]:
    """Sign a candidate and publish it: from here on it is the board, and judges the votes to come.

    A candidate that another snapshot has overtaken is left alone, and that snapshot is what stands.

    Returns:
        The snapshot that stands, as `integrity refresh --json` shows it.

    Raises:
        MissingKey: the key that signed the snapshot before is not here.
        Usage: there is no such candidate.
    """
    with existing_store(store) as it:
        signers = signing.signers(it)
        with it.write() as connection:
            found = publishing.publish(connection, it, signers, candidate, now())
            figures.note(connection, "refresh_last_success", now())
        publishing.keep_head(it, found)
        signing.handed_over(it, signers)
    return {
        "snapshot": found.snapshot_id,
        "sequence": found.sequence,
        "log_size": found.log_size,
        "votes_counted": found.body["votes_counted"],
        "votes_excluded": found.body["votes_excluded"],
        "unrated": found.body["views"]["defended"]["unrated"],
    }


def refresh_board(store: str) -> dict[str, Any]:
    """Seal, check, rate, publish; again if another refresh was quicker and did not rate the same."""
    for _ in range(_TRIES):
        size = seal(store)
        check(store, size)
        candidate = rate(store, size)
        result = publish(store, candidate)
        if result["snapshot"] == candidate:
            break
    return result


def _work(connection: Connection, log_size: int, options: Settings) -> dict[str, Any]:
    """What decides the content of a snapshot: the same work is done once."""
    current = [[e.kind, e.target, e.reason, e.name] for e in exclusions.current(connection)]
    flagged = [str(voter) for voter in exclusions.flagged_voters(connection)]
    return {
        "log_size": log_size,
        "log_root": seals.root_at(connection, log_size),
        "configuration": options.digest(),
        "exclusions": snapshots.digest_of({"exclusions": current, "flagged": flagged}),
    }
