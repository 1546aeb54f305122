"""Sends the votes of a drill, and times each step of the pipeline that follows.

The steps are alert, incident, page, exclusion and board; together they are called the chain. A page is a call to the
person on duty. A step is observed as this person would see it: alerts and incidents in the store, the page in
Prometheus, ranks in the newest snapshot. The times are exact to half a second.
"""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, TypeVar

import sqlalchemy as sa

from pipeline import incident_text
from pipeline.errors import PublicationHeld, Unavailable, Usage
from pipeline.events.pseudonym import format_pseudonym
from pipeline.jobs import incident_decisions, refresh_board
from pipeline.lab.drill.campaign import DrillCampaign
from pipeline.store import Store
from pipeline.store.alerting import incident_table
from pipeline.store.alerting.incident_table import StoredIncident
from pipeline.store.alerting.operators_log import Operator
from pipeline.store.boards import snapshots
from pipeline.store.db import schema

PAGE_SECONDS = 180.0
"""The time in seconds after the first vote of a campaign within which the person on duty must be called."""

_PAUSE = 0.5
_RULE = "IntegrityIncidentOpen"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Link:
    """One step of the pipeline that follows the votes of a drill, with its time.

    Attributes:
        name: the event that ends the step, such as "alert".
        seconds: time from the first vote to the step, in seconds; None if the step did not follow in time.
        note: a remark about the step for people; "" for none.
    """

    name: str
    seconds: float | None
    note: str = ""


@dataclass(slots=True)
class DrillResult:
    """The steps that a drill has timed, and the incident that it caused.

    Attributes:
        links: the steps, in order.
        incident: id of the incident of the campaign; "" if none was found.
        headline: the incident in one sentence, for operators.
    """

    links: list[Link] = field(default_factory=list)
    incident: str = ""
    headline: str = ""

    @property
    def passed(self) -> bool:
        """Whether every step followed in time, and the page came within PAGE_SECONDS."""
        times = {link.name: link.seconds for link in self.links}
        page = times.get("page")
        return None not in times.values() and page is not None and page <= PAGE_SECONDS


class Chain:
    """Sends the votes of one campaign, and times the steps of the pipeline that follow.

    Args:
        store: the store that the votes reach, open with its voter key.
        url: the address of the store.
        campaign: the campaign with its votes.
        prometheus: address of the Prometheus with the alert rules that call the person on duty; "" if there is none.
        limit: seconds to wait for each step.
        tell: called with each step as soon as its time is known.
    """

    def __init__(
        self,
        store: Store,
        url: str,
        campaign: DrillCampaign,
        prometheus: str,
        limit: float,
        tell: Callable[[Link], object],
    ) -> None:
        self._store, self._url, self._campaign = store, url, campaign
        self._prometheus, self._limit, self._tell = prometheus.rstrip("/"), limit, tell
        self._voters = [format_pseudonym(store.pseudonym(one)) for one in campaign.voters]
        self._result = DrillResult()
        self._began = 0.0

    def run(self, send: Callable[[], object], operator: Operator) -> DrillResult:
        """Send the votes of the campaign, wait for each step, and exclude the votes once the person on duty is called.

        Args:
            send: sends the votes. It may return before the votes are stored.
            operator: the person in whose name the votes are excluded.

        Raises:
            Usage: the address of Prometheus is not valid. Nothing was sent.
            Unavailable: Prometheus does not answer. Nothing was sent.
        """
        if self._prometheus:
            _firing(self._prometheus)
        self._began = time.monotonic()
        send()
        self._add("votes sent", self._elapsed(), f"{len(self._campaign.events)} for {self._campaign.target}")
        if self._wait("alert", self._alerts) is None or self._wait("incident", self._incident) is None:
            return self._result
        if self._prometheus:
            self._wait("page", self._paged)
        else:
            self._add("page", None, "no Prometheus was given or found")
        self._exclude(operator)
        self._refresh()
        return self._result

    def _elapsed(self) -> float:
        return round(time.monotonic() - self._began, 1)

    def _add(self, name: str, seconds: float | None, note: str = "") -> None:
        link = Link(name, seconds, note)
        self._result.links.append(link)
        self._tell(link)

    def _wait(self, name: str, ask: Callable[[], Found | None]) -> Found | None:
        """Call `ask` until it returns a result, and add the step `name` with its time. None after the time limit."""
        deadline = time.monotonic() + self._limit
        while (found := ask()) is None and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        missing = f"not within {self._limit:.0f} s"
        self._add(name, None if found is None else self._elapsed(), missing if found is None else str(found))
        return found

    def _alerts(self) -> str | None:
        """Return the number of alerts about accounts of the drill as text, such as "3 alerts"; None without any."""
        a = schema.alert.c
        with self._store.read() as connection:
            query = sa.select(sa.func.count()).where(a.subject_kind == "voter", a.subject.in_(self._voters))
            number = int(connection.scalar(query) or 0)
        return incident_text.count(number, "alert") if number else None

    def _incident(self) -> str | None:
        """Return the id of the incident that has most accounts of the drill; None without one."""
        found = self._find()
        if found is None:
            return None
        self._result.incident = found.incident_id
        self._result.headline = incident_text.headline(found.body, found.private)
        return found.incident_id

    def _find(self) -> StoredIncident | None:
        mine = set(self._voters)
        with self._store.read() as connection:
            shared = [(len(mine & set(one.private["voters"])), one) for one in incident_table.read_all(connection)]
        accounts, best = max(shared, key=lambda pair: pair[0], default=(0, None))
        return best if accounts else None

    def _paged(self) -> str | None:
        """Return the text with which Prometheus calls a person about the incident; None if it does not call."""
        found = self._find()
        if found is None:
            return None
        ids = {found.incident_id, *found.body["former_ids"]}
        try:
            firing = _firing(self._prometheus)
        except Unavailable:
            return None
        for alert in firing:
            labels = alert["labels"]
            if labels.get("incident") in ids and labels["severity"] == "critical":
                self._incident()  # the newest sentence
                return str(alert["annotations"]["summary"])
        return None

    def _exclude(self, operator: Operator) -> None:
        try:
            with self._store.write() as connection:
                done = incident_decisions.change_exclusions(
                    connection, self._result.incident, "exclude", operator, f"drill {self._campaign.name}"
                )
            self._add("exclusion", self._elapsed(), incident_text.count(done["targets"], "account"))
        except Usage:
            # Nothing is left for a person: the policy leaves them out at the next refresh.
            self._add("exclusion", self._elapsed(), "by the policy, at the next refresh")

    def _refresh(self) -> None:
        try:
            refresh_board(self._url)
        except PublicationHeld as held:
            self._add("defended board", None, str(held))
            return
        with self._store.read() as connection:
            newest = snapshots.latest(connection)
            if newest is None:
                raise Unavailable("expected a snapshot after the refresh, got none")
            rows = [snapshots.read_rows(connection, newest.snapshot_id, view) for view in ("raw", "defended")]
            out = newest.body["votes_excluded"]
        raw, defended = (_rank(of_view, self._campaign.target) for of_view in rows)
        self._add("defended board", self._elapsed(), f"#{defended} instead of #{raw}, {out:,} votes left out")
        self._incident()


def _rank(rows: Sequence[dict[str, Any]], model: str) -> int | None:
    return next((row["rank"] for row in rows if row["model"] == model), None)


def _firing(prometheus: str) -> list[dict[str, Any]]:
    """Return the pages about incidents that fire now.

    Raises:
        Usage: the address does not begin with http:// or https:// and the name of a host.
        Unavailable: Prometheus does not answer.
    """
    if not _is_web_address(prometheus):
        raise Usage(f"--prometheus: expected http://HOST:PORT, got {prometheus!r}")
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/alerts", timeout=10) as response:  # noqa: S310 - checked above
            alerts = json.load(response)["data"]["alerts"]
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"expected Prometheus at {prometheus}, got: {error}") from error
    return [one for one in alerts if one["labels"]["alertname"] == _RULE and one["state"] == "firing"]


def _is_web_address(text: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or brackets that do not match
        return False
