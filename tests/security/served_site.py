"""A real `integrity serve` in a process of its own, alone or behind the shipped nginx, and readers who are measured."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import psutil

from pipeline.devstack.process import free_port

ROOT = Path(__file__).parents[2]
NGINX = ROOT / "deploy" / "nginx"
HOST = "127.0.0.1"


@dataclass
class Site:
    """A site that is served.

    Attributes:
        port: where readers connect.
        direct: where `serve` itself listens.
        metrics: where its metrics are.
        processes: of the site.
        log: what `serve` has logged.
    """

    port: int
    direct: int
    metrics: int
    processes: list[psutil.Process]
    log: IO[bytes]

    def logged(self) -> str:
        """What `serve` has written to its standard error."""
        self.log.seek(0)
        return self.log.read().decode()

    def memory(self) -> int:
        """Bytes of all its processes."""
        own = [child for one in self.processes for child in (one, *one.children(recursive=True))]
        return sum(one.memory_info().rss for one in own)

    def ask(self, request: bytes, *, timeout: float = 10.0, port: int | None = None) -> bytes:
        """What comes back until the server closes; ends with "<open>" if it does not."""
        with socket.create_connection((HOST, port or self.port), timeout=timeout) as wire:
            wire.settimeout(timeout)
            answer = b""
            try:
                wire.sendall(request)
                while part := wire.recv(65_536):
                    answer += part
            except TimeoutError:
                answer += b"<open>"
            except OSError:  # it has closed while we were sending
                pass
        return answer

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        return parsed(self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n".encode()))

    def counted(self, name: str) -> float:
        """The value of a metric, by its name with its labels."""
        _, _, body = parsed(self.ask(b"GET /metrics HTTP/1.0\r\n\r\n", port=self.metrics))
        lines = [line.rsplit(" ", 1) for line in body.decode().splitlines() if line.startswith(name)]
        return sum(float(value) for _, value in lines)


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a raw response."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


@contextmanager
def served(url: str, key: str, **settings: str) -> Iterator[Site]:
    """`integrity serve` over a store."""
    port, metrics = free_port(), free_port()
    words = ("serve", "--port", str(port), "--metrics-port", str(metrics))
    environment = os.environ | {"INTEGRITY_STORE": url, "INTEGRITY_VOTER_KEY": key} | settings
    program = Path(sys.executable).with_name("integrity")
    # To a file: a pipe that nobody reads would stop the server when it is full.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([program, *words], env=environment, cwd=ROOT, stderr=log)
        try:
            wait_until_open(port, process, log)
            yield Site(port, port, metrics, [psutil.Process(process.pid)], log)
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def proxied(site: Site, nginx: str, folder: Path, certificate: tuple[Path, Path] | None = None) -> Iterator[Site]:
    """The shipped nginx in front of a site."""
    port, secured = free_port(), free_port()
    text = (NGINX / "nginx.conf").read_text()
    for old, new in (
        ("page:8000", f"{HOST}:{site.direct}"),
        ("listen 8080", f"listen {HOST}:{port}"),
        ("/tmp/nginx", str(folder / "nginx")),  # noqa: S108
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "servers").mkdir()
    if certificate is not None:
        for source, name in zip(certificate, ("cert.pem", "key.pem"), strict=True):
            shutil.copy(source, folder / name)
        tls = (NGINX / "tls.conf").read_text()
        assert "listen 8443" in tls
        (folder / "servers" / "tls.conf").write_text(tls.replace("listen 8443", f"listen {HOST}:{secured}"))
    (folder / "nginx.conf").write_text(text)
    command = [nginx, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stderr=log)
        try:
            wait_until_open(port, process, log)
            running = [*site.processes, psutil.Process(process.pid)]
            yield replace(site, port=port if certificate is None else secured, processes=running)
        finally:
            process.terminate()
            process.wait(30)


def wait_until_open(port: int, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """Wait until a process listens."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            log.seek(0)
            raise AssertionError(log.read().decode())
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing listens at {port}")


@contextmanager
def attacked(site: Site, kind: str, seconds: float, *paths: str) -> Iterator[dict[str, Any]]:
    """An attack from a process of its own; at the end, the dictionary has what it saw."""
    import json

    command = [sys.executable, "-m", "tests.security.attackers", kind, str(site.port), str(seconds), *paths]
    seen: dict[str, Any] = {}
    with ExitStack() as stack:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        stack.callback(process.wait, 60)
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        yield seen
        seen |= json.loads(process.stdout.readline())


@dataclass
class Reading:
    """What readers met.

    Attributes:
        seconds: latency of each request, the time to connect again included.
        failed: requests that were not answered in two tries, or not with 200 or 307.
        memory: the most bytes that the site took meanwhile.
    """

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    memory: int = 0

    @property
    def p99(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[round((len(ordered) - 1) * 0.99)]


def read_for(site: Site, seconds: float, paths: list[str]) -> Reading:
    """Four readers, one request every 10 ms each, every tenth on a new connection."""
    found = Reading()

    async def reader(which: int) -> None:
        ends, wire, count = time.monotonic() + seconds, None, which
        while time.monotonic() < ends:
            count += 1
            path, began = paths[count % len(paths)], time.perf_counter()
            if wire is not None and count % 10 == 0:
                wire[1].close()
                wire = None
            for attempt in range(2):
                try:
                    wire = wire or await asyncio.open_connection(HOST, site.port)
                    status = await asyncio.wait_for(_get(*wire, path), 30)
                    break
                except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                    wire, status = None, f"{attempt}: {error!r}"
            if status not in ("200", "307"):
                found.failed.append(f"{path}: {status}")
            found.seconds.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)

    async def weigh() -> None:
        while True:
            found.memory = max(found.memory, site.memory())
            await asyncio.sleep(0.2)

    async def together() -> None:
        scale = asyncio.create_task(weigh())
        await asyncio.gather(*(reader(which) for which in range(4)))
        scale.cancel()

    asyncio.run(together())
    return found


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> str:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next((int(line[16:]) for line in head.split("\r\n") if line.startswith("content-length: ")), 0)
    await reader.readexactly(length)
    return head[9:12]
