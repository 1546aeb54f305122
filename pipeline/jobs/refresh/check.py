"""The second step of a refresh: evaluates the expectations on new votes."""

from __future__ import annotations

from pipeline.errors import BadCounts, QualityGate
from pipeline.open_store import existing_store, now
from pipeline.store.boards import verdicts


def check(url: str, log_size: int) -> str:
    """Evaluate the suite `votes` on the votes since the last passed check.

    Returns:
        The id of the verdict.

    Raises:
        BadCounts: the log is empty. No verdict is stored, so that a new board alerts nobody.
        QualityGate: a critical expectation failed; the verdict is stored.
    """
    if not log_size:
        raise BadCounts("expected votes in the log, got none yet: there is nothing to check or to rate")
    import pandas as pd  # noqa: PLC0415 - slow to import, and only this step needs it

    from pipeline import quality  # noqa: PLC0415

    with existing_store(url) as store:
        with store.read() as connection:
            passed = verdicts.last_passed(connection, "votes")
            if passed is not None and passed.log_size == log_size:
                return passed.verdict_id
            columns = verdicts.read_votes(connection, passed.log_size if passed else 0, log_size)
        if passed is not None and not columns["vote_id"]:
            return passed.verdict_id  # only retractions were appended: there is no new vote
        frame = pd.DataFrame(columns)
        for name in ("cast_at", "appended_at"):
            frame[name] = pd.to_datetime(frame[name], unit="us", utc=True)
        verdict = quality.check("votes", frame)
        with store.write() as connection:
            verdict_id = verdicts.add_verdict(connection, "votes", log_size, verdict.success, verdict.as_json(), now())
    if not verdict.success:
        raise QualityGate(
            f"votes up to {log_size} fail: {'; '.join(verdict.critical_failures)} (verdict {verdict_id}): "
            "nothing is published, see deploy/runbooks/quality-gate.md"
        )
    return verdict_id
