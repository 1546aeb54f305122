"""Connections (kind 9): to secured brokers, refused ones, foreign clusters, and databases that are not as expected.

Against a real broker with TLS, logins and ACLs, a real PostgreSQL, and a real TLS handshake before it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.net.sasl.oauth import AbstractTokenProvider

from pipeline.devstack.certificates import LocalAuthority
from pipeline.devstack.process import free_port
from pipeline.devstack.secured_kafka import Listener, SecuredKafkaServer
from pipeline.lab.simulate import HonestSpec, simulate_stream
from tests.command import called
from tests.security.tls_proxy import TlsProxy

ACL_SCRIPT = Path(__file__).parents[2] / "deploy" / "kafka" / "acls.sh"
INTEGRITY = Path(sys.executable).with_name("integrity")
# The bound for every error; most end within two.
SECONDS = 20.0
VOTES = 300
# Opens an encrypted key.
KEY_WORD = "key secret"
REGISTRY = {
    "schema": 1, "event_id": "e1", "at": "2026-01-01T00:00:00Z", "type": "model.submitted", "model": "ant",
    "provider": "Ants", "visibility": "public", "license": "open",
}  # fmt: skip


def unsecured_token(user: str, **claims: Any) -> str:
    """A token that the broker of the tests believes: signed by nobody."""
    now = time.time()
    parts = [{"alg": "none"}, {"sub": user, "iat": now - 10, "exp": now + 3600, **claims}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


class BoardTokens(AbstractTokenProvider):
    def token(self) -> str:
        return unsecured_token("board")


class Cluster:
    """The secured broker with topics of one test's own."""

    def __init__(self, server: SecuredKafkaServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        mark = uuid.uuid4().hex[:8]
        self.topics = {name: f"{name}-{mark}" for name in ("votes", "registry", "alerts", "rejected")}
        self.names = {f"INTEGRITY_TOPIC_{name.upper()}": topic for name, topic in self.topics.items()}
        self.names |= {"INTEGRITY_VOTER_KEY": "ab" * 32, "INTEGRITY_GROUP": f"group-{mark}"}
        self.store = folder / "board.db"

    def url(self, listener: Listener) -> str:
        return f"kafka://{self.server.address(listener)}"

    def login(
        self, user: str = "board", mechanism: str = "SCRAM-SHA-512", protocol: str = "SASL_SSL"
    ) -> dict[str, str]:
        """Settings that log in."""
        tls = {"INTEGRITY_KAFKA_SSL_CAFILE": str(self.server.authority.file)} if protocol == "SASL_SSL" else {}
        return tls | {
            "INTEGRITY_KAFKA_SECURITY_PROTOCOL": protocol,
            "INTEGRITY_KAFKA_SASL_MECHANISM": mechanism,
            "INTEGRITY_KAFKA_SASL_PLAIN_USERNAME": user,
            "INTEGRITY_KAFKA_SASL_PLAIN_PASSWORD": self.server.users[user],
        }

    def certificate(self, user: str = "board", password: str = "") -> dict[str, str]:
        """Settings that show a certificate of the broker's own CA."""
        more = {"INTEGRITY_KAFKA_SSL_PASSWORD": password} if password else {}
        return more | {
            "INTEGRITY_KAFKA_SECURITY_PROTOCOL": "SSL",
            "INTEGRITY_KAFKA_SSL_CAFILE": str(self.server.authority.file),
            "INTEGRITY_KAFKA_SSL_CERTFILE": str(self.server.authority.issue(user, password=password)),
        }

    def make_topics(self, *left_out: str) -> None:
        with self.server.admin() as admin:
            names = [topic for name, topic in self.topics.items() if name not in left_out]
            admin.create_topics({name: {"num_partitions": 1, "replication_factor": 1} for name in names})

    def run(self, *words: str, settings: Mapping[str, str]) -> tuple[subprocess.CompletedProcess[str], float]:
        """A command in this process, and its seconds."""
        started = time.monotonic()
        done = called(*words, settings=self.names | dict(settings))
        assert "Traceback" not in done.stderr, done.stderr
        return done, time.monotonic() - started

    def work(self, listener: Listener, settings: Mapping[str, str], *words: str) -> Any:
        given = ("work", "--source", self.url(listener), "--store", str(self.store), "--until-end", "--json", *words)
        return self.run(*given, settings=settings)


@pytest.fixture
def cluster(secured_kafka: SecuredKafkaServer, tmp_path: Path) -> Cluster:
    return Cluster(secured_kafka, tmp_path)


@pytest.fixture(scope="module")
def votes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of votes and of one registry event."""
    path = tmp_path_factory.mktemp("votes") / "votes.jsonl"
    simulate_stream(HonestSpec(votes=VOTES, seed=3, days=1.0, models=4)).write_jsonl(path)
    with path.open("a") as file:
        file.write(json.dumps(REGISTRY) + "\n")
    return path


def expect_refusal(done: Any, pattern: str, status: int = 3) -> None:
    """One command's result and seconds: the right exit, a message that names the fault, in time."""
    ended, seconds = done
    assert (ended.returncode, bool(re.search(pattern, ended.stderr))) == (status, True), ended.stdout + ended.stderr
    assert seconds < SECONDS


LOGINS: dict[str, tuple[Listener, Callable[[Cluster], dict[str, str]]]] = {
    "certificate": ("tls", lambda c: c.certificate()),
    "encrypted_key": ("tls", lambda c: c.certificate(password=KEY_WORD)),
    "plain": ("login", lambda c: c.login(mechanism="PLAIN")),
    "scram_256": ("login", lambda c: c.login(mechanism="SCRAM-SHA-256")),
    "scram_512": ("login", lambda c: c.login()),
    "without_tls": ("clear", lambda c: c.login(protocol="SASL_PLAINTEXT")),
    "token_file": ("login", lambda c: bearer(c, file=token_file(c))),
    "token_provider": ("login", lambda c: bearer(c, provider=f"{__name__}:BoardTokens")),
}


def token_file(cluster: Cluster, token: str | None = None) -> Path:
    path = cluster.folder / "token"
    path.write_text((unsecured_token("board") if token is None else token) + "\n")
    return path


def bearer(cluster: Cluster, *, file: Path | str = "", provider: str = "") -> dict[str, str]:
    kept = ("INTEGRITY_KAFKA_SECURITY_PROTOCOL", "INTEGRITY_KAFKA_SSL_CAFILE")
    return {name: value for name, value in cluster.login().items() if name in kept} | {
        "INTEGRITY_KAFKA_SASL_MECHANISM": "OAUTHBEARER",
        "INTEGRITY_KAFKA_SASL_OAUTH_TOKEN_FILE": str(file),
        "INTEGRITY_KAFKA_SASL_OAUTH_TOKEN_PROVIDER": provider,
    }


@pytest.mark.parametrize("way", LOGINS)
@pytest.mark.long
def test_every_way_to_log_in_publishes_and_reads(cluster: Cluster, votes: Path, way: str) -> None:
    listener, settings = LOGINS[way]
    given = settings(cluster)
    sent, _ = cluster.run("publish", str(votes), "--to", cluster.url(listener), "--json", settings=given)
    assert sent.returncode == 0, sent.stderr
    report = json.loads(sent.stdout)
    assert (report["published"], report["registry"]) == (VOTES, 1)
    done, _ = cluster.work(listener, given)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == VOTES
    assert "missing" not in done.stderr
    told, _ = cluster.run(
        "doctor", "--store", str(cluster.store), "--source", cluster.url(listener), "--json", settings=given
    )
    report = json.loads(told.stdout)["kafka"]
    assert (report["healthy"], set(report["topics"].values())) == (True, {"read and write"})


@pytest.mark.long
def test_a_board_over_a_secured_broker_from_the_vote_to_the_snapshot(cluster: Cluster, votes: Path) -> None:
    """Publisher, worker (as a process that stays), registry reader, outbox, refresh, page's data."""
    given = cluster.names | cluster.login() | {"INTEGRITY_STORE": str(cluster.store)}
    port = free_port()
    command = [INTEGRITY, "work", "--source", cluster.url("login"), "--metrics-port", str(port)]
    assert cluster.run("publish", "--to", cluster.url("login"), settings=given)[0].returncode == 0
    worker = subprocess.Popen(command, env=os.environ | given, stderr=subprocess.PIPE, text=True)
    try:
        eventually("a healthy worker", lambda: health(port)[0] == 200)
        cluster.run("publish", str(votes), "--to", cluster.url("login"), settings=given)
        send_plainly(cluster, "votes", b"no vote")
        eventually("every vote", lambda: stored(cluster, given) == {"accepted": VOTES, "rejected": 1})
        eventually("the reject", lambda: len(values(cluster, "rejected")) == 1)
    finally:
        worker.send_signal(signal.SIGTERM)
        _, told = worker.communicate(timeout=SECONDS)
    assert worker.returncode == 0, told
    refreshed, _ = cluster.run("refresh", "--json", settings=given)
    assert json.loads(refreshed.stdout)["log_size"] == VOTES, refreshed.stderr
    for secret in cluster.server.users.values():
        assert secret not in told + refreshed.stderr


def health(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def eventually(what: str, ask: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < deadline, f"expected {what} within {seconds:.0f} s"
        time.sleep(0.1)


def stored(cluster: Cluster, given: Mapping[str, str]) -> dict[str, int]:
    done, _ = cluster.run("doctor", "--store", str(cluster.store), "--json", settings=given)
    fates = json.loads(done.stdout)["store"].get("fates", {})
    return {name: fates[name] for name in ("accepted", "rejected") if fates.get(name)}


def values(cluster: Cluster, topic: str) -> list[bytes]:
    """What a topic holds."""
    consumer = KafkaConsumer(
        cluster.topics[topic],
        bootstrap_servers=cluster.server.bootstrap,
        auto_offset_reset="earliest",
        consumer_timeout_ms=2_000,
        allow_auto_create_topics=False,
    )
    try:
        return [record.value for record in consumer]
    finally:
        consumer.close()


def send_plainly(cluster: Cluster, topic: str, *records: bytes, **options: Any) -> None:
    """As somebody else's producer does."""
    producer = KafkaProducer(bootstrap_servers=cluster.server.bootstrap, **options)
    for record in records:
        producer.send(cluster.topics[topic], record)
    producer.flush()
    producer.close()


VERBS: dict[str, Callable[[Cluster, Listener, Path], tuple[str, ...]]] = {
    "publish": lambda c, listener, votes: ("publish", str(votes), "--to", c.url(listener)),
    "topics": lambda c, listener, _: ("publish", "--to", c.url(listener)),
    "work": lambda c, listener, _: ("work", "--source", c.url(listener), "--store", str(c.store), "--until-end"),
    "stay": lambda c, listener, _: ("work", "--source", c.url(listener), "--store", str(c.store)),
}
P = "INTEGRITY_KAFKA_"
REFUSALS: dict[str, tuple[Listener, Callable[[Cluster], dict[str, str]], str]] = {
    "wrong_password": (
        "login",
        lambda c: c.login() | {f"{P}SASL_PLAIN_PASSWORD": "guess-0815"},
        "the login of user 'board' by SCRAM-SHA-512 failed",
    ),
    "wrong_plain_password": (
        "login",
        lambda c: c.login(mechanism="PLAIN") | {f"{P}SASL_PLAIN_PASSWORD": "guess-0815"},
        "the login of user 'board' by PLAIN failed",
    ),
    "unknown_user": (
        "clear",
        lambda c: c.login(protocol="SASL_PLAINTEXT") | {f"{P}SASL_PLAIN_USERNAME": "nobody"},
        "the login of user 'nobody' by SCRAM-SHA-512 failed",
    ),
    "bad_token": ("login", lambda c: bearer(c, file=token_file(c, "no.token.")), "the login of the token by OAUTHB"),
    "no_token": ("login", lambda c: bearer(c, file=c.folder / "none"), "SASL_OAUTH_TOKEN_FILE: expected a file"),
    "unknown_ca": (
        "login",
        lambda c: c.login() | {f"{P}SSL_CAFILE": str(LocalAuthority(c.folder / "other").file)},
        f"certificate is not accepted: .*{P}SSL_CAFILE",
    ),
    "the_systems_cas": ("login", lambda c: c.login() | {f"{P}SSL_CAFILE": ""}, "certificate is not accepted"),
    "no_certificate": (
        "tls",
        lambda c: c.certificate() | {f"{P}SSL_CERTFILE": ""},
        f"refuses our side of TLS: .*{P}SSL_CERTFILE",
    ),
    "foreign_certificate": (
        "tls",
        lambda c: c.certificate() | {f"{P}SSL_CERTFILE": str(LocalAuthority(c.folder / "other").issue("board"))},
        f"refuses our side of TLS: .*{P}SSL_CERTFILE",
    ),
    "login_where_none_is_asked": ("tls", lambda c: c.certificate() | c.login(), "takes no login"),
}
SLOW_REFUSALS: dict[str, tuple[Listener, Callable[[Cluster], dict[str, str]], str]] = {
    "plaintext_to_tls": ("login", lambda _: {}, f"speaks TLS: expected {P}SECURITY_PROTOCOL SSL or SASL_SSL, got PLAI"),
    "login_in_clear_to_tls": ("login", lambda c: c.login(protocol="SASL_PLAINTEXT"), "speaks TLS"),
    "tls_to_plaintext": ("clear", lambda c: c.login(), "the TLS handshake failed: .*without TLS"),
    "no_login": ("clear", lambda _: {}, "ask for a login"),
}


@pytest.mark.parametrize(
    ("fault", "verb"),
    [(fault, verb) for fault in REFUSALS for verb in ("publish", "stay")]
    + [("wrong_password", verb) for verb in ("topics", "work")],
)
def test_a_refusal_ends_at_once_and_names_its_reason(cluster: Cluster, votes: Path, fault: str, verb: str) -> None:
    listener, settings, pattern = REFUSALS[fault]
    ended, seconds = cluster.run(*VERBS[verb](cluster, listener, votes), settings=settings(cluster))
    expect_refusal((ended, seconds), pattern)
    assert "guess-0815" not in ended.stderr
    assert not any(secret in ended.stderr for secret in cluster.server.users.values())


@pytest.mark.long
@pytest.mark.parametrize("verb", ["publish", "stay"])
@pytest.mark.parametrize("fault", SLOW_REFUSALS)
def test_a_port_of_another_kind_is_named_in_time(cluster: Cluster, votes: Path, fault: str, verb: str) -> None:
    listener, settings, pattern = SLOW_REFUSALS[fault]
    expect_refusal(cluster.run(*VERBS[verb](cluster, listener, votes), settings=settings(cluster)), pattern)


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_server_that_takes_connections_and_says_nothing_is_not_waited_for(cluster: Cluster, protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"kafka://127.0.0.1:{silent.getsockname()[1]}"
        ended = cluster.run("publish", "--to", url, settings={f"{P}SECURITY_PROTOCOL": protocol})
    expect_refusal(ended, "no Kafka broker answers at .*imed out")


def test_a_doctor_says_why_it_is_not_let_in(cluster: Cluster) -> None:
    wrong = cluster.login() | {f"{P}SASL_PLAIN_PASSWORD": "guess-0815"}
    words = ("doctor", "--store", str(cluster.store), "--source", cluster.url("login"), "--json")
    ended, seconds = cluster.run(*words, settings=wrong)
    report = json.loads(ended.stdout)
    assert (ended.returncode, seconds < SECONDS) == (1, True)
    assert "the login of user 'board'" in report["kafka"]["error"]
    assert "guess-0815" not in ended.stdout


ACLS: dict[str, tuple[str, dict[str, list[str]], str, str]] = {
    # user, what it may do, verb, what is said; the group is the test's
    "votes": ("reader", {"GROUP": ["READ"], "registry": ["READ"]}, "work", "no ACL lets us read topic 'votes-"),
    "read_only_described": (
        "reader", {"votes": ["DESCRIBE"], "GROUP": ["READ"], "registry": ["READ"]}, "stay", "read topic 'votes-",
    ),
    "group": ("reader", {"votes": ["READ"], "registry": ["READ"]}, "work", "no ACL lets us join consumer group group-"),
    "group_of_one_that_stays": (
        "reader", {"votes": ["READ"], "registry": ["READ"]}, "stay", "no ACL lets us join consumer group group-",
    ),
    "registry": ("reader", {"votes": ["READ"], "GROUP": ["READ"]}, "work", "no ACL lets us read topic 'registry-"),
    "registry_of_one_that_stays": (
        "reader", {"votes": ["READ"], "GROUP": ["READ"]}, "stay", "no ACL lets us read topic 'registry-",
    ),
    "write": ("writer", {"votes": ["DESCRIBE"]}, "publish", "no ACL lets us write to topic votes-"),
    "registry_events": ("writer", {"votes": ["WRITE"]}, "publish", "no ACL lets us use topic registry-"),
}  # fmt: skip


@pytest.mark.parametrize("missing", ACLS)
def test_a_missing_acl_is_named(cluster: Cluster, votes: Path, missing: str) -> None:
    user, rights, verb, pattern = ACLS[missing]
    cluster.make_topics()
    for kind, operations in rights.items():
        group = kind == "GROUP"
        name = cluster.names["INTEGRITY_GROUP"] if group else cluster.topics[kind]
        cluster.server.allow(user, "GROUP" if group else "TOPIC", name, operations)
    ended = cluster.run(*VERBS[verb](cluster, "login", votes), settings=cluster.login(user))
    expect_refusal(ended, pattern)


def test_a_topic_that_may_not_be_made_is_named(cluster: Cluster, votes: Path) -> None:
    cluster.server.allow("stranger", "TOPIC", cluster.topics["votes"], ["WRITE"])
    for verb in ("publish", "topics"):
        ended = cluster.run(*VERBS[verb](cluster, "login", votes), settings=cluster.login("stranger"))
        expect_refusal(ended, rf"topic {cluster.topics['votes']} is missing, and no ACL lets us create it")


@pytest.mark.long
def test_the_shipped_acls_are_what_publisher_and_worker_need(cluster: Cluster, votes: Path) -> None:
    """deploy/kafka/acls.sh, with each rule that it adds given to the broker; the topics are made by the publisher."""
    tool, log = cluster.folder / "kafka-acls", cluster.folder / "rules"
    tool.write_text(f'#!/bin/sh\necho "$*" >>{log}\n')
    tool.chmod(0o755)
    given = {name.upper(): topic for name, topic in cluster.topics.items()}
    who = {"PUBLISHER": "User:writer", "WORKER": "User:reader", "READER": "User:stranger"}
    more = {"BOOTSTRAP": "b:9093", "KAFKA_ACLS": str(tool), "GROUP_PREFIX": cluster.names["INTEGRITY_GROUP"][:-2]}
    subprocess.run(["bash", str(ACL_SCRIPT)], env=os.environ | given | who | more, check=True)
    for rule in log.read_text().splitlines():
        user, operations = re.findall(r"User:(\S+)", rule)[0], re.findall(r"--operation (\S+)", rule)
        kind, name = re.findall(r"--(topic|group|cluster)(?: ([^- ]\S*))?", rule)[0]
        names = ["IDEMPOTENT_WRITE" if operation == "IDEMPOTENTWRITE" else operation for operation in operations]
        cluster.server.allow(user, kind.upper(), name or "kafka-cluster", names, prefix="prefixed" in rule)
    for words in (("publish", "--to", cluster.url("login")), VERBS["publish"](cluster, "login", votes)):
        done, _ = cluster.run(*words, settings=cluster.login("writer"))
        assert (done.returncode, "ACL" in done.stderr) == (0, False), done.stderr
    send_plainly(cluster, "votes", b"no vote")
    done, _ = cluster.work("login", cluster.login("reader"))
    assert (done.returncode, "ACL" in done.stderr) == (0, False), done.stderr
    assert json.loads(done.stdout)["accepted"] == VOTES
    assert len(values(cluster, "rejected")) == 1


def test_a_worker_that_may_not_write_alerts_says_so_and_reads(cluster: Cluster, votes: Path) -> None:
    cluster.make_topics()
    for topic in ("votes", "registry"):
        cluster.server.allow("reader", "TOPIC", cluster.topics[topic], ["READ"])
    cluster.server.allow("reader", "GROUP", cluster.names["INTEGRITY_GROUP"], ["READ"])
    send_plainly(cluster, "votes", b"no vote", *votes.read_bytes().splitlines()[:50])
    done, seconds = cluster.work("login", cluster.login("reader"))
    assert (done.returncode, seconds < SECONDS) == (0, True), done.stderr
    assert json.loads(done.stdout)["accepted"] == 50
    assert f"no ACL lets us write to topic {cluster.topics['rejected']}" in done.stderr


@pytest.fixture
def plain(cluster: Cluster) -> Cluster:
    """A cluster of somebody else: the votes topic alone, without security."""
    cluster.make_topics("registry", "alerts", "rejected")
    return cluster


def plain_url(cluster: Cluster) -> str:
    return f"kafka://{cluster.server.bootstrap}/{cluster.topics['votes']}"


@pytest.mark.long
def test_missing_topics_are_named_and_stop_nobody(plain: Cluster, votes: Path) -> None:
    send_plainly(plain, "votes", b"{no vote", *votes.read_bytes().splitlines()[:100])
    given = ("work", "--source", plain_url(plain), "--store", str(plain.store), "--until-end", "--json")
    done, seconds = plain.run(*given, settings={})
    assert (done.returncode, seconds < SECONDS) == (0, True), done.stderr
    found = json.loads(done.stdout)
    assert (found["accepted"], found["rejected"]) == (100, 1)
    for name in ("registry", "alerts", "rejected"):
        assert f"topic {plain.topics[name]} is missing" in done.stderr
    # The message is kept, and is sent when the topic is there.
    assert plain.run("publish", "--to", plain_url(plain), settings={})[0].returncode == 0
    again, _ = plain.run(*given, settings={})
    assert again.returncode == 0
    assert "missing" not in again.stderr
    assert [json.loads(value)["offset"] for value in values(plain, "rejected")] == [0]


@pytest.mark.long
def test_a_worker_that_stays_goes_on_without_the_topics_and_ends_in_time(plain: Cluster, votes: Path) -> None:
    port, lines = free_port(), votes.read_bytes().splitlines()
    command = [INTEGRITY, "work", "--source", plain_url(plain), "--store", str(plain.store)]
    worker = subprocess.Popen(
        [*command, "--metrics-port", str(port)], env=os.environ | plain.names, stderr=subprocess.PIPE, text=True
    )
    try:
        eventually("a healthy worker", lambda: health(port)[0] == 200)
        for number in range(3):
            send_plainly(plain, "votes", b"{no vote", *lines[number * 50 : number * 50 + 50])
            wanted = {"accepted": number * 50 + 50, "rejected": number + 1}
            # Today's worker stood still for a minute.
            eventually("votes and rejects", lambda wanted=wanted: stored(plain, {}) == wanted, seconds=15)
        status, text = health(port)
        assert status == 200
        assert f"topic {plain.topics['rejected']} is missing: messages wait in the outbox" in text
    finally:
        asked = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        _, told = worker.communicate(timeout=60)
    assert (worker.returncode, time.monotonic() - asked < 10) == (0, True), told
    assert f"topic {plain.topics['rejected']} is missing" in told


@pytest.mark.long
def test_of_two_brokers_one_may_be_away(cluster: Cluster, votes: Path) -> None:
    """Four tries: the client begins with one of them at random."""
    servers = f"kafka://127.0.0.1:{free_port()},{cluster.server.bootstrap}"
    for _ in range(4):
        sent, _ = cluster.run("publish", str(votes), "--to", f"{servers}/{cluster.topics['votes']}", settings={})
        assert sent.returncode == 0, sent.stderr
        given = ("work", "--source", servers, "--store", str(cluster.store), "--until-end", "--json")
        done, _ = cluster.run(*given, settings={})
        assert done.returncode == 0, done.stderr
    assert stored(cluster, {})["accepted"] == VOTES


@pytest.mark.parametrize("verb", ["publish", "work", "doctor"])
@pytest.mark.parametrize(
    "url",
    [
        "kafka://h:99999", "kafka://h:abc", "kafka://h:0", "kafka://h:", "kafka://h1:9092,h2:x", "kafka://h,",
        "kafka://", "kafka:///topic", "kafka:h:9092", "kafka://h 1:9092", "kafka://[::1", "kafka://h:9092/a/b",
        "kafka://h:9092/a b", "kafka://h:9092?group=x", "kafka://h:9092/t?sasl_plain_password=s3cret-word",
        "kafka://h:9092/t#x", "kafka://user:s3cret-word@h:9092", "kafka://user:s3cret/word@h:9092/t",
        "kafka://h1:9092,user:s3cret-word@h2:9092", "kafka://h:\u0661", "kafka://h:-1", "kafka://h:9092\n/t",
    ],
)  # fmt: skip
def test_a_url_that_is_not_understood_is_a_usage_error(url: str, verb: str, votes: Path, tmp_path: Path) -> None:
    words = {
        "publish": ("publish", str(votes), "--to", url),
        "work": ("work", "--source", url, "--store", str(tmp_path / "s.db")),
        "doctor": ("doctor", "--store", str(tmp_path / "s.db"), "--source", url),
    }
    done = called(*words[verb], settings={"INTEGRITY_VOTER_KEY": "ab" * 32})
    assert done.returncode == 2, done.stderr
    assert "expected kafka://HOST:PORT" in done.stderr
    assert "got " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "s.db").exists()
    assert "s3cret" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("settings", "pattern"),
    [
        ({f"{P}SECURITY_PROTOCOL": "TLS"}, f"{P}SECURITY_PROTOCOL: expected one of PLAINTEXT, SSL, .*, got 'TLS'"),
        ({f"{P}SSL_CAFILE": "ca.pem"}, f"{P}SSL_CAFILE is set: expected {P}SECURITY_PROTOCOL SSL or SASL_SSL, got PL"),
        ({f"{P}SASL_PLAIN_USERNAME": "u"}, f"{P}SASL_PLAIN_USERNAME is set: expected {P}SECURITY_PROTOCOL SASL_"),
        ({f"{P}SECURITY_PROTOCOL": "SASL_SSL"}, f"expected {P}SASL_MECHANISM with SASL, got none"),
        ({f"{P}SECURITY_PROTOCOL": "SASL_SSL", f"{P}SASL_MECHANISM": "GSSAPI"}, "MECHANISM: expected one of PLAIN"),
        ({f"{P}SECURITY_PROTOCOL": "SASL_SSL", f"{P}SASL_MECHANISM": "PLAIN"}, f"expected {P}SASL_PLAIN_USERNAME with"),
        ({f"{P}SECURITY_PROTOCOL": "SSL", f"{P}SSL_CAFILE": "/none.pem"}, f"{P}SSL_CAFILE: .*/none.pem: no such file"),
        ({f"{P}SECURITY_PROTOCOL": "SSL", f"{P}SSL_CAFILE": __file__}, f"{P}SSL_CAFILE: expected a PEM file of CA"),
        ({f"{P}SECURITY_PROTOCOL": "SSL", f"{P}SSL_KEYFILE": "k"}, f"{P}SSL_KEYFILE is set: expected {P}SSL_CERTFILE"),
        ({f"{P}SECURITY_PROTOCOL": "SASL_SSL", f"{P}SASL_MECHANISM": "OAUTHBEARER"}, "one of .*TOKEN_PROVIDER"),
        (
            {f"{P}SECURITY_PROTOCOL": "SASL_SSL", f"{P}SASL_MECHANISM": "OAUTHBEARER",
             f"{P}SASL_OAUTH_TOKEN_PROVIDER": "os:getcwd"},
            "expected a class below AbstractTokenProvider",
        ),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_usage_errors(settings: dict[str, str], pattern: str) -> None:
    done = called("publish", "--to", "kafka://127.0.0.1:9", settings=settings)
    assert (done.returncode, bool(re.search(pattern, done.stderr))) == (2, True), done.stderr


def test_a_key_that_a_wrong_password_does_not_open_is_named(cluster: Cluster) -> None:
    wrong = cluster.certificate(password=KEY_WORD) | {f"{P}SSL_PASSWORD": "wrong-0815"}
    done, _ = cluster.run("publish", "--to", cluster.url("tls"), settings=wrong)
    assert (done.returncode, f"{P}SSL_PASSWORD" in done.stderr) == (2, True), done.stderr
    assert "wrong-0815" not in done.stderr


@pytest.mark.parametrize("codec", ["snappy", "gzip", "lz4", "zstd"])
def test_every_codec_is_read(plain: Cluster, votes: Path, codec: str) -> None:
    send_plainly(plain, "votes", *votes.read_bytes().splitlines()[:50], compression_type=codec, linger_ms=50)
    given = ("work", "--source", plain_url(plain), "--store", str(plain.store), "--until-end", "--json")
    done, _ = plain.run(*given, settings={})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 50


def test_a_codec_that_is_not_installed_is_an_error_of_its_own(
    plain: Cluster, votes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_plainly(plain, "votes", *votes.read_bytes().splitlines()[:50], compression_type="snappy")
    monkeypatch.setattr("kafka.codec.snappy", None)
    given = ("work", "--source", plain_url(plain), "--store", str(plain.store), "--until-end")
    done, _ = plain.run(*given, settings={})
    assert done.returncode == 3
    assert "MissingCodec" in done.stderr
    assert "pip install python-snappy" in done.stderr


# PostgreSQL.


def integrity(url: str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    done = called(*words, settings={"INTEGRITY_STORE": url, "INTEGRITY_VOTER_KEY": "ab" * 32, **settings})
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def proxy(postgres_url: str, tmp_path: Path) -> Iterator[tuple[TlsProxy, str]]:
    """A door with TLS before the database, which asks for a client certificate; and its URL."""
    with TlsProxy(LocalAuthority(tmp_path / "tls"), int(re.search(r":(\d+)/", postgres_url)[1])) as door:
        yield door, re.sub(r":\d+/", f":{door.port}/", postgres_url)


def test_a_store_is_opened_over_tls_by_url_and_by_settings(proxy: tuple[TlsProxy, str]) -> None:
    door, url = proxy
    client = door.authority.issue("client")
    libpq = {"sslmode": "verify-full", "sslrootcert": door.authority.file, "sslcert": client, "sslkey": client}
    query = "&".join(f"{name}={value}" for name, value in libpq.items())
    assert integrity(f"{url}?{query}", "migrate").returncode == 0
    given = {f"INTEGRITY_POSTGRES_{name.upper()}": str(value) for name, value in libpq.items()}
    assert integrity(url, "doctor", **given).returncode == 0
    assert door.handshakes >= 2


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ({"sslrootcert": "other"}, "certificate verify failed"),
        ({"sslrootcert": "/none.pem"}, 'root certificate file "/none.pem" does not exist'),
        ({"sslcert": "", "sslkey": ""}, "certificate required"),
    ],
)
def test_a_certificate_that_does_not_fit_is_named(
    proxy: tuple[TlsProxy, str], tmp_path: Path, change: dict[str, str], pattern: str
) -> None:
    door, url = proxy
    client = door.authority.issue("client")
    given = {"sslmode": "verify-full", "sslrootcert": str(door.authority.file), "sslcert": str(client)}
    given |= {"sslkey": str(client)} | change
    if change.get("sslrootcert") == "other":
        given["sslrootcert"] = str(LocalAuthority(tmp_path / "other").file)
    settings = {f"INTEGRITY_POSTGRES_{name.upper()}": value for name, value in given.items()}
    for words in (("migrate",), ("leaderboard",), ("work", "--source", "kafka://127.0.0.1:9")):
        started = time.monotonic()
        done = integrity(url, *words, **settings)
        assert (done.returncode, bool(re.search(pattern, done.stderr))) == (3, True), done.stderr
        assert time.monotonic() - started < SECONDS


def test_tls_that_the_server_does_not_have_is_named(postgres_url: str) -> None:
    done = integrity(postgres_url, "migrate", INTEGRITY_POSTGRES_SSLMODE="require")
    assert (done.returncode, "does not support SSL" in done.stderr) == (3, True), done.stderr


def test_an_unknown_parameter_of_the_url_is_named(postgres_url: str) -> None:
    done = integrity(f"{postgres_url}?ssl_mode=require", "migrate")
    assert (done.returncode, 'option "ssl_mode"' in done.stderr) == (3, True), done.stderr


def admin(postgres_url: str, statement: str) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


@pytest.mark.parametrize(("encoding", "locale"), [("SQL_ASCII", "C"), ("LATIN1", "C")])
def test_a_database_of_another_encoding_is_named(postgres_url: str, encoding: str, locale: str) -> None:
    name = f"other_{uuid.uuid4().hex[:8]}"
    admin(
        postgres_url,
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE '{locale}'",
    )
    try:
        for words in (("migrate",), ("leaderboard",), ("work", "--source", "kafka://127.0.0.1:9")):
            done = integrity(re.sub(r"/\w+$", f"/{name}", postgres_url), *words)
            assert (done.returncode, f" in {encoding}: names could not be stored" in done.stderr) == (3, True), (
                done.stderr
            )
    finally:
        admin(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def test_a_read_only_database_is_named(postgres_url: str, votes: Path) -> None:
    assert integrity(postgres_url, "work", "--source", str(votes)).returncode == 0
    name = postgres_url.rpartition("/")[2]
    admin(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    for words in (("refresh",), ("monitor", "--until-end"), ("work", "--source", str(votes))):
        started = time.monotonic()
        done = integrity(postgres_url, *words)
        assert (done.returncode, "read-only" in done.stderr) == (3, True), done.stderr
        assert time.monotonic() - started < SECONDS


def test_a_read_only_file_is_named(tmp_path: Path, votes: Path) -> None:
    """Root may write to any file; a URI makes it read-only for root too."""
    store = tmp_path / "board.db"
    assert integrity(str(store), "work", "--source", str(votes)).returncode == 0
    with_keys = f"sqlite:///file:{store}?mode=ro&uri=true"
    done = integrity(with_keys, "work", "--source", str(votes))
    assert (done.returncode, "read-only" in done.stderr) == (3, True), done.stderr


@pytest.mark.long
@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "PG_UNICODE_FAST"])
def test_a_board_is_the_same_in_every_collation(postgres_url: str, tmp_path: Path, locale: str) -> None:
    """Names sort by code points; a database is asked for that, whatever its own order is."""
    name = f"other_{uuid.uuid4().hex[:8]}"
    provider = f"LOCALE_PROVIDER builtin BUILTIN_LOCALE '{locale}' LOCALE 'C'"
    admin(postgres_url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {provider}")
    url = re.sub(r"/\w+$", f"/{name}", postgres_url)
    rows = []
    try:
        for target in (url, str(tmp_path / "board.db")):
            for models in (("B", "a"), ("Ä", "z")):
                file = tmp_path / f"{models[0]}.csv"
                lines = [f"{models[n % 2]},{models[1 - n % 2]},tie,2026-01-01T00:00:{n:02}Z,v{n}" for n in range(40)]
                file.write_text("\n".join(["model_a,model_b,winner,cast_at,voter_id", *lines]) + "\n")
                assert integrity(target, "work", "--source", str(file)).returncode == 0
            with_ledger = {"INTEGRITY_LEDGER": str(tmp_path / f"ledger{len(rows)}")}
            integrity(target, "refresh", **with_ledger)
            told = json.loads(integrity(target, "doctor", "--json").stdout)["store"]["database"]
            rows.append(told["program"])
            if target == url:
                assert (told["encoding"], told["collation"]) == ("UTF8", locale)
        assert rows == ["PostgreSQL", "SQLite"]
    finally:
        admin(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def test_a_refused_client_leaves_no_thread_behind(cluster: Cluster) -> None:
    """The registry reader tries again every few seconds."""
    wrong = cluster.login() | {f"{P}SASL_PLAIN_PASSWORD": "guess-0815"}
    cluster.run("publish", "--to", cluster.url("login"), settings=wrong)
    before = threading.active_count()
    for _ in range(3):
        cluster.run("publish", "--to", cluster.url("login"), settings=wrong)
    eventually("no more threads", lambda: threading.active_count() <= before, seconds=10)
