"""Runs the command bench api: measures the speed of the HTTP API.

The benchmark sends a mix of read requests to the API while a worker runs. The speed is compared with the speed of a
route of the same process that returns an empty response.
"""

import asyncio
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from pipeline.cli.app import JsonOption, emit, err, out
from pipeline.cli.bench_group import PostgresqlOption, bench, temporary_databases
from pipeline.cli.terminal import met, styled
from pipeline.devstack.process import free_port
from pipeline.lab.bench import api_load, served_board
from pipeline.settings import Settings

MIN_RATIO = 0.3
MAX_P99_RATIO = 5.0
_HOST = "127.0.0.1"


@bench.command()
def api(
    votes: Annotated[int, typer.Option(min=10_000, help="Votes that the worker reads meanwhile.")] = 1_200_000,
    turns: Annotated[int, typer.Option(min=1, help="Alternations of the empty route and the mix.")] = 4,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of a turn.")] = 3.0,
    connections: Annotated[int, typer.Option(min=1, help="Open connections, one request at a time on each.")] = 16,
    postgresql: PostgresqlOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure requests per second and p99 of mixed reads while a worker runs, as ratios to an empty route."""
    options = Settings(voter_key="00" * 32, anchor="")
    with ExitStack() as stack:
        folder, create_database = stack.enter_context(temporary_databases(postgresql))
        url = create_database("bench_api")
        err.print("preparing three snapshots, and votes for the worker …")
        rest = served_board.prepare_store(folder, url, options, votes)
        port = free_port()
        stack.enter_context(served_board.run_integrity(url, options, "serve", "--port", str(port)))
        asyncio.run(api_load.wait_until_ready(_HOST, port))
        paths = served_board.request_mix(url, options)
        once = sorted({path for path in paths if not path.startswith(served_board.RECEIPT)})
        made = asyncio.run(api_load.request_once(_HOST, port, once))
        err.print(f"a worker, and {connections} connections: {turns} turns of {seconds:g} s each …")
        worker = stack.enter_context(served_board.run_integrity(url, options, "work", "--source", str(rest)))
        before = served_board.wait_for_worker(url, options, worker)
        empty, mixed = asyncio.run(api_load.run_load(_HOST, port, paths, turns, seconds, connections))
        busy = worker.poll() is None
        read = served_board.count_votes_read(url, options) - before
    ratio, p99 = mixed.rate / empty.rate, mixed.p99 / empty.p99
    result: dict[str, Any] = {
        "made_once": {"addresses": len(once), "seconds": round(made, 2)},
        "empty": _document(empty),
        "mixed": _document(mixed),
        "ratio": round(ratio, 3),
        "p99_ratio": round(p99, 3),
        "worker": {"votes": read, "running_all_the_time": busy},
        "bars": {"ratio": MIN_RATIO, "p99_ratio": MAX_P99_RATIO},
        "passed": busy and ratio >= MIN_RATIO and p99 <= MAX_P99_RATIO and set(mixed.statuses) <= {200, 307},
    }
    if as_json:
        emit(result)
        return
    for what, one in (("an empty route", empty), ("mixed reads", mixed)):
        out.print(
            f"{what}: {one.rate:,.0f} requests/s, p50 {one.p50 * 1e3:.1f} ms, p99 {one.p99 * 1e3:.1f} ms, "
            f"by status {one.statuses}"
        )
    out.print(f"{len(once)} addresses requested once, before the measurement: {made:.1f} s")
    running = "it ran all the time" if busy else "it ENDED EARLY: give it more --votes"
    out.print(f"the worker read {read:,} votes during the measurement; {running}")
    out.print(
        styled(
            f"{ratio:.2f} of the empty route's requests/s (bar {MIN_RATIO}), p99 {p99:.2f} times its p99 "
            f"(bar {MAX_P99_RATIO:g}): ",
            met(result["passed"]),
        )
    )


def _document(load: api_load.LoadResult) -> dict[str, Any]:
    return {
        "requests": load.requests,
        "rate": round(load.rate, 1),
        "p50_ms": round(load.p50 * 1e3, 2),
        "p99_ms": round(load.p99 * 1e3, 2),
        "statuses": load.statuses,
    }
