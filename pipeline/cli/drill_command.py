"""Runs the command drill: sends a simulated campaign of votes, and times how soon the pipeline reacts to the campaign.

Five events are timed: the alert, the incident, the page (a call to the person on duty), the exclusion, and the first
board without the votes.
"""

import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pipeline.cli.app import JsonOption, StoreOption, app, emit, emit_or_print, err, out, store_url
from pipeline.errors import Unavailable, Usage
from pipeline.lab.drill.board_copy import copied_board
from pipeline.lab.drill.campaign import ACCOUNTS, VOTES_EACH, DrillCampaign, plan_campaign
from pipeline.lab.drill.chain import PAGE_SECONDS, Chain, DrillResult, Link
from pipeline.lab.drill.store_topic import expect_read
from pipeline.open_store import existing_store, now
from pipeline.store import Store
from pipeline.store.alerting import operators_log
from pipeline.store.boards import drill_mark

_INTEGRITY = Path(sys.executable).with_name("integrity")
_NOT_A_TEST = (
    "expected a store that is marked as a test, got a board: invented votes would stay in its log. "
    "`integrity drill --copy` drills on a copy of it"
)
_MARK = "Mark a store that has no votes as a test, for ever: drills may send it votes. Nothing else is done."


# As many parameters as the command has options.
@app.command()
def drill(
    store: StoreOption = None,
    to: Annotated[str | None, typer.Option("--to", help="kafka://HOST:PORT that workers of the store read.")] = None,
    prometheus: Annotated[str, typer.Option(help="Address of its Prometheus: http://HOST:PORT.")] = "",
    copy: Annotated[bool, typer.Option("--copy", help="Drill on a copy of the board in a temporary folder.")] = False,
    copy_to: Annotated[str, typer.Option(help="Drill on a copy in this empty database.")] = "",
    target: Annotated[str | None, typer.Option(help="The model to lift; default: one of the lower half.")] = None,
    accounts: Annotated[int, typer.Option(min=1, max=1000, help="Number of accounts.")] = ACCOUNTS,
    votes_each: Annotated[int, typer.Option(min=1, max=1000, help="Votes of each account.")] = VOTES_EACH,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for each link of the chain.")] = 300.0,
    scrape: Annotated[int, typer.Option(min=1, help="Seconds between two scrapes of the copy's Prometheus.")] = 15,
    name: Annotated[str | None, typer.Option(help="Name of the person who decides; default: your login.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Send the votes without asking.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help=f"Exit 1 if a link is missing or the page took over {PAGE_SECONDS:.0f} s.")
    ] = False,
    mark_as_test: Annotated[bool, typer.Option("--mark-as-test", help=_MARK)] = False,
    as_json: JsonOption = False,
) -> None:
    """Send the votes of a simulated campaign, and time what follows: alert, incident, page, exclusion, new board.

    The votes stay in the log. So the store must be marked as a test, or --copy is used.
    """
    url, label = store_url(store), f"drill-{int(time.time())}"
    who = operators_log.process_operator(name)
    if mark_as_test:
        with existing_store(url, with_key=False) as opened, opened.write() as connection:
            if drill_mark.mark_as_test(connection):
                operators_log.record(connection, who, "store.mark_as_test", "", now(), reason="drills")
        emit_or_print(as_json, {"test_store": True}, "the store is a test: `integrity drill` may send votes to it", out)
        return
    is_copy = copy or bool(copy_to)
    if is_copy == (to is not None):
        raise Usage("expected either --to kafka://HOST:PORT or --copy, got " + ("both" if is_copy else "neither"))
    if is_copy and prometheus:
        raise Usage(f"--prometheus: expected it with --to alone, since a copy starts its own, got {prometheus!r}")

    def plan(opened: Store) -> DrillCampaign:
        with opened.read() as connection:
            if not is_copy and not drill_mark.is_test(connection):
                raise Usage(_NOT_A_TEST)
            return plan_campaign(connection, label, target, accounts=accounts, votes_each=votes_each)

    if is_copy:
        with copied_board(url, copy_to, scrape, _say) as made, existing_store(made.url) as opened:
            campaign, votes = plan(opened), made.folder / "votes.jsonl"
            campaign.write_jsonl(votes)
            chain = Chain(opened, made.url, campaign, made.prometheus, timeout, _tell)
            result = chain.run(lambda: made.read(votes), who)
    else:
        with existing_store(url) as opened:
            campaign = plan(opened)
            expect_read(opened, str(to))
            _ask(campaign, yes)
            chain = Chain(opened, url, campaign, prometheus, timeout, _tell)
            result = chain.run(lambda: _publish(campaign, str(to), url), who)
    _report(campaign, result, is_copy, as_json)
    if check and not result.passed:
        raise typer.Exit(1)


def _say(line: str) -> None:
    err.print(line, soft_wrap=True)


def _tell(link: Link) -> None:
    when = "    –   " if link.seconds is None else f"{link.seconds:6.1f} s"
    _say(f"{when}  {link.name}: {link.note}")


def _ask(campaign: DrillCampaign, yes: bool) -> None:
    """Print what will be sent. Without `yes`, ask the person at the terminal whether to send it.

    Raises:
        Usage: nobody can be asked, because standard input is no terminal.
        Exit: the person refused. The status is 1.
    """
    accounts, votes = len(campaign.voters), len(campaign.events)
    err.print(f"{votes} invented votes of {accounts} accounts for {campaign.target} stay in the test store's log")
    if yes:
        return
    if not sys.stdin.isatty():
        raise Usage("drill: expected --yes where nobody can be asked; nothing was sent")
    if not typer.confirm("Send them?", err=True):
        raise typer.Exit(1)


def _publish(campaign: DrillCampaign, to: str, url: str) -> None:
    """Send the votes as an arena would.

    Raises:
        Unavailable: they could not be sent; the message has what the publisher said.
    """
    with TemporaryDirectory(prefix="integrity-drill-") as folder:
        votes = Path(folder) / "votes.jsonl"
        campaign.write_jsonl(votes)
        command = [str(_INTEGRITY), "publish", str(votes), "--to", to, "--no-text-checks", "--json"]
        environment = os.environ | {"INTEGRITY_STORE": url}  # a password in it is not in the list of processes
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"expected the votes to be published, got:\n{done.stdout}{done.stderr}")


def _report(campaign: DrillCampaign, result: DrillResult, is_copy: bool, as_json: bool) -> None:
    if as_json:
        links = {"links": [asdict(link) for link in result.links]}
        about = {"name": campaign.name, "target": campaign.target, "copy": is_copy, "votes": len(campaign.events)}
        emit({**about, "incident": result.incident, "headline": result.headline, **links, "passed": result.passed})
        return
    for link in result.links:
        out.print(f"{link.name:16}{'not seen' if link.seconds is None else f'{link.seconds:.1f} s'}")
    if result.headline:
        out.print(f"incident {result.incident}: {result.headline}", soft_wrap=True)
    if result.incident and not is_copy:
        err.print(
            f"it stays open: `integrity incidents resolve {result.incident} --reason drill` ends its page, and its "
            "votes count again in the test store",
            soft_wrap=True,
        )


__all__ = ["drill"]
