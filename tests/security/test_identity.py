"""Identity: who a voter is, and that nobody outside can find out.

A raw id, an address or a text of a conversation is never stored or sent on; what many people share is no voter.
"""

import base64
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from pipeline.events import decode_votes
from pipeline.formats import ColumnMapping
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_tables import read_battles
from pipeline.settings import Settings
from pipeline.store.db import schema
from pipeline.stream.topic_messages import rejected_vote_message
from pipeline.vocabulary.voter_identity import parse_proxies
from tests.command import called

KEY = "5c" * 32
OWN = {"schema": 1, "cast_at": "2026-01-02T03:04:05Z", "model_a": "alder", "model_b": "birch", "winner": "tie"}
NOBODY = ("arena_user_172.17.0.1", "10.1.2.3", "localhost", "None", "nan", "NaN", "N/A", "null", "-", " ", "::1")


def vote(at: int, judge: Any, **changes: Any) -> dict[str, Any]:
    """A vote as FastChat writes it."""
    second = 1_715_000_000 + 40 * at
    models = {"model_a": "alder", "model_b": "birch", "winner": ("model_a", "tie", "model_b")[at % 3]}
    return {"question_id": f"q{at}", **models, "judge": judge, "tstamp": second, **changes}


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    return {"INTEGRITY_STORE": str(tmp_path / "s.db"), "INTEGRITY_VOTER_KEY": KEY, "INTEGRITY_ANCHOR": ""}


def run(settings: dict[str, str], *words: str) -> dict[str, Any]:
    """The JSON that a command prints."""
    done = called(*words, "--json", settings=settings)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def query(settings: dict[str, str], statement: sa.Executable) -> list[Any]:
    engine = sa.create_engine(f"sqlite:///{settings['INTEGRITY_STORE']}")
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(statement)]
    engine.dispose()
    return rows


def voters(settings: dict[str, str]) -> list[int]:
    v = schema.vote.c
    return [voter for (voter,) in query(settings, sa.select(v.voter).order_by(v.partition_no, v.offset))]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_json(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    pacsv.write_csv(pa.Table.from_pylist(rows), path)
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


FILES: dict[str, Callable[[Path, list[dict[str, Any]]], Path]] = {
    "votes.jsonl": write_jsonl, "votes.json": write_json, "votes.csv": write_csv, "votes.parquet": write_parquet,
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_many_people_share_is_no_voter_on_every_road(name: str, tmp_path: Path, settings: dict[str, str]) -> None:
    rows = [vote(at, judge) for at, judge in enumerate((*NOBODY, "198.51.100.7", "al"))]
    run(settings, "work", "--source", str(FILES[name](tmp_path / name, rows)))
    found = voters(settings)
    assert found[: len(NOBODY)] == [0] * len(NOBODY)
    assert len(set(found[len(NOBODY) :])) == 2


def test_a_configured_proxy_is_no_voter(tmp_path: Path, settings: dict[str, str]) -> None:
    rows = [vote(0, "arena_user_198.51.100.7"), vote(1, "arena_user_198.51.100.8"), vote(2, "203.0.113.5")]
    path = write_jsonl(tmp_path / "votes.jsonl", rows)
    run({**settings, "INTEGRITY_PROXIES": "198.51.100.7,203.0.113.0/24"}, "work", "--source", str(path))
    first, second, third = voters(settings)
    assert (first, third) == (0, 0)
    assert second != 0


@pytest.mark.parametrize("name", FILES)
def test_what_many_people_share_is_no_voter_of_a_rating_either(name: str, tmp_path: Path) -> None:
    proxies = parse_proxies("198.51.100.7")
    path = FILES[name](tmp_path / name, [vote(at, judge) for at, judge in enumerate((*NOBODY, "198.51.100.7"))])
    assert not read_battles(open_battles(path, ColumnMapping(proxies=proxies))).has_voters
    one = FILES[name](tmp_path / f"one-{name}", [vote(at, judge) for at, judge in enumerate(("3", "3.0", "none"))])
    assert read_battles(open_battles(one)).voters == ("3",)


def test_an_address_that_is_no_address_is_a_usage_error(tmp_path: Path, settings: dict[str, str]) -> None:
    path = write_jsonl(tmp_path / "votes.jsonl", [vote(0, "al")])
    done = called("work", "--source", str(path), settings={**settings, "INTEGRITY_PROXIES": "proxy.example"})
    assert done.returncode == 2
    assert "INTEGRITY_PROXIES: expected addresses or networks" in done.stderr


@pytest.mark.long
def test_whole_numbers_with_and_without_decimals_are_one_voter_on_every_road(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    whole = [{**vote(at, None), "judge": 3} for at in range(2)]
    broken = [{**vote(10, None), "judge": 3.0}, {**vote(11, None), "judge": None}]
    texts = [vote(20, "3"), vote(21, "3.0")]
    own = [{**OWN, "vote_id": f"own{at}", "voter_id": text} for at, text in enumerate(("3", "3.0"))]
    roads = [
        FILES[name](tmp_path / f"{number}-{name}", rows)
        for number, rows in enumerate((whole, broken, texts))
        for name in FILES
    ]
    for road in (*roads, write_jsonl(tmp_path / "own.jsonl", own)):
        settings["INTEGRITY_STORE"] = f"{road}.db"
        run(settings, "work", "--source", str(road))
        assert set(voters(settings)) - {0} == {voters(settings)[0]}, road.name
        pseudonym = run(settings, "pseudonym", "3")["pseudonym"]
        assert f"{voters(settings)[0] & (2**64 - 1):016x}" == pseudonym, road.name


PERSONAL = {
    "judge": "arena_user_203.0.113.9", "user": "ann@example.org", "ip": "203.0.113.10", "visitor_id": "visitor-7f3a",
    "user_id": "account-991", "worker": "worker-4471", "client_ip": "2001:4860::77", "email": "bob@example.net",
    "prompt": "my name is Carol", "conversation": [{"role": "user", "content": "call me at 555-0199"}],
    "conversation_a": {"content": "Dave wrote this"}, "anything_else": "Erin", "session": "session-5b1c",
}  # fmt: skip
SECRETS = (
    b"203.0.113", b"ann@", b"visitor-7f3a", b"account-991", b"worker-4471", b"2001:4860", b"bob@", b"Carol",
    b"555-0199", b"Dave", b"Erin", b"session-5b1c",
)  # fmt: skip
REJECTED: dict[str, bytes] = {
    "an unknown outcome": json.dumps({**OWN, "vote_id": "v1", **PERSONAL, "winner": "203.0.113.9"}).encode(),
    "a foreign record": json.dumps({**vote(901, "x"), **PERSONAL, "tstamp": "never"}).encode(),
    "a hidden character": json.dumps({**vote(902, "x"), **PERSONAL, "language": "a\u0000b"}).encode(),
    "NaN": json.dumps({**vote(903, "x"), **PERSONAL, "tstamp": float("nan")}).encode(),
    "half a line": json.dumps({**PERSONAL, **vote(904, "arena_user_203.0.113.9")}).encode()[:-5],
    "a list": json.dumps([PERSONAL]).encode(),
    "a text": json.dumps(json.dumps(PERSONAL)).encode(),
    "a line of a table": b"alder,birch,tie,203.0.113.9,ann@example.org,Carol",
    "bad UTF-8": json.dumps({**vote(905, "x"), **PERSONAL}).encode()[:-1] + b',"z":"\xff"}',
    "a key twice": json.dumps({**vote(906, "x"), **PERSONAL}).encode()[:-1] + b',"judge":"arena_user_203.0.113.9"}',
    "too large": json.dumps({**PERSONAL, **vote(907, "x"), "z": "y" * 70_000}).encode(),
    "an escaped name": b'{"schema":1,"judge":"arena_user_203.0.113.9","us\\u0065r":"Carol","winner":3}',
    "a name in a kept field": json.dumps(
        {**OWN, "vote_id": "of account-991", "user_id": "account-991", "winner": 1}
    ).encode(),
    "a voter of another type": json.dumps({**OWN, "vote_id": "v", "voter_id": {"ip": "203.0.113.9"}}).encode(),
    "a session in a kept field": json.dumps(
        {**OWN, "vote_id": "v", "session": "session-5b1c", "categories": ["of session-5b1c"], "turn": 0}
    ).encode(),
    "a self battle": json.dumps({**OWN, "vote_id": "v", "model_b": "alder", **PERSONAL}).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_a_reject_says_nothing_about_a_person_in_the_store_and_on_the_topic(name: str) -> None:
    (reject,) = decode_votes([REJECTED[name]])[2]
    message = json.loads(rejected_vote_message("t", reject, 0, 0, None)[2])
    sample = base64.b64decode(message["sample"])
    kept = sample + message["detail"].encode()
    for secret in SECRETS:
        assert secret not in kept.replace(b"\0", b""), (name, kept)
    for field in (b"judge", b"conversation", b"visitor_id", b'"session"', b"user_id", b'"ip"'):
        assert field not in sample, (name, sample)


def test_a_reject_keeps_what_its_producer_recognises() -> None:
    (reject,) = decode_votes([json.dumps({**OWN, "vote_id": "v1", **PERSONAL, "winner": "doum"}).encode()])[2]
    kept = json.loads(reject.sample)
    assert kept["vote_id"] == "v1"
    assert kept["winner"] == "doum"
    assert kept["(removed)"] == len(PERSONAL)
    assert "got 'doum'" in reject.detail


def test_no_address_of_a_rejected_file_is_in_the_bytes_of_the_store(tmp_path: Path, settings: dict[str, str]) -> None:
    path = tmp_path / "votes.jsonl"
    good = [json.dumps(vote(at, f"arena_user_203.0.113.{at}")).encode() for at in range(100, 120)]
    lines = [raw for name, raw in REJECTED.items() if name != "too large"]
    path.write_bytes(b"\n".join([*good, *lines]) + b"\n")
    done = run(settings, "work", "--source", str(path))
    assert done["rejected"] >= len(lines) - 2
    stored = b"".join(file.read_bytes() for file in store_files(settings))
    assert not [secret for secret in SECRETS if secret in stored]


def store_files(settings: dict[str, str]) -> Iterator[Path]:
    """Every file of the store: the database with its journal, the ledger, the keys."""
    database = Path(settings["INTEGRITY_STORE"])
    yield from (path for path in database.parent.rglob(f"{database.name}*") if path.is_file())
    yield from (
        path for folder in database.parent.glob(f"{database.name}.*/") for path in folder.rglob("*") if path.is_file()
    )


def topic_records(server: str, topic: str) -> list[Any]:
    """Every record of a topic."""
    consumer = KafkaConsumer(bootstrap_servers=server, auto_offset_reset="earliest", group_id=None)
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: list[Any] = []
        while len(found) < sum(ends.values()):
            for records in consumer.poll(timeout_ms=500).values():
                found += records
        return found
    finally:
        consumer.close()


def bytes_of(record: Any) -> bytes:
    headers = [f"{name}=".encode() + value for name, value in record.headers or ()]
    return b"\n".join([record.key or b"", record.value or b"", *headers])


@pytest.fixture
def topics(settings: dict[str, str], kafka_url: str) -> dict[str, str]:
    """Names of topics that no other test uses; the settings have them."""
    name = uuid.uuid4().hex[:8]
    found = {kind: f"{kind}.{name}" for kind in ("votes", "registry", "alerts", "rejected")}
    settings |= {f"INTEGRITY_TOPIC_{kind.upper()}": topic for kind, topic in found.items()}
    settings["INTEGRITY_SESSION_SECONDS"] = "6"
    return found | {"server": kafka_url.removeprefix("kafka://"), "url": kafka_url}


def publish(settings: dict[str, str], topics: dict[str, str], path: Path, *words: str) -> dict[str, Any]:
    return run(settings, "publish", str(path), "--to", topics["url"], *words)


def work(settings: dict[str, str], topics: dict[str, str]) -> dict[str, Any]:
    return run(settings, "work", "--source", topics["url"], "--until-end")


@pytest.mark.long
def test_what_publish_sends_names_no_voter_and_gives_the_votes_of_the_file(
    tmp_path: Path, settings: dict[str, str], topics: dict[str, str]
) -> None:
    good = [json.dumps(vote(at, f"arena_user_203.0.113.{at % 40}")).encode() for at in range(200)]
    more = {"session": "session-5b1c", "turn": 2, "anonymous": False, "categories": ["b", "a"]}
    own = json.dumps(
        {**OWN, "vote_id": "own", "voter_id": "arena_user_203.0.113.1", "ip": "203.0.113.1", **more}
    ).encode()
    lines = [raw for name, raw in REJECTED.items() if name not in ("too large", "a list", "a text")]
    path = tmp_path / "votes.jsonl"
    path.write_bytes(b"\n".join([*good, own, json.dumps(vote(950, "10.0.0.7")).encode(), *lines]) + b"\n")
    publish(settings, topics, path)
    sent = topic_records(topics["server"], topics["votes"])
    assert len(sent) == len(good) + 2 + len(lines)
    for record in sent:
        assert not [secret for secret in SECRETS if secret in bytes_of(record)], bytes_of(record)
    from_topic = work(settings, topics)

    settings["INTEGRITY_STORE"] = str(tmp_path / "file.db")
    from_file = run(settings, "work", "--source", str(path))
    for name in ("read", "rejected"):
        assert from_topic[name] == from_file[name], name
    v, r = schema.vote.c, schema.reject.c
    stated = sa.select(v.vote_id, v.voter, v.flags, v.turn, v.session, schema.term.c.text).join(
        schema.term, v.categories == schema.term.c.term_no, isouter=True
    )
    in_file = set(query(settings, stated))
    assert {(one[0], *one[2:4], one[5]) for one in in_file if one[0] == "own" and one[4]} == {
        ("own", 1, 2, '["a","b"]')
    }
    reasons = sorted(query(settings, sa.select(r.reason, r.sha256)))
    settings["INTEGRITY_STORE"] = str(tmp_path / "s.db")
    assert set(query(settings, stated)) == in_file
    assert sorted(query(settings, sa.select(r.reason, r.sha256))) == reasons
    rejected = topic_records(topics["server"], topics["rejected"])
    assert len(rejected) == len(lines)
    for record in rejected:
        kept = record.value + base64.b64decode(json.loads(record.value)["sample"])
        assert not [secret for secret in SECRETS if secret in kept], kept


@pytest.mark.long
def test_raw_ids_are_sent_on_request_and_hashed_by_the_worker(
    tmp_path: Path, settings: dict[str, str], topics: dict[str, str]
) -> None:
    publish(settings, topics, write_jsonl(tmp_path / "votes.jsonl", [vote(0, "al")]), "--raw-ids")
    assert b"al" in topic_records(topics["server"], topics["votes"])[0].key
    work(settings, topics)
    pseudonym = run(settings, "pseudonym", "al")["pseudonym"]
    assert [f"{voter & (2**64 - 1):016x}" for voter in voters(settings)] == [pseudonym]


@pytest.mark.long
def test_pseudonyms_of_another_key_are_reported(
    tmp_path: Path, settings: dict[str, str], topics: dict[str, str]
) -> None:
    path = write_jsonl(tmp_path / "votes.jsonl", [vote(0, "al"), vote(1, "bo")])
    publish({**settings, "INTEGRITY_VOTER_KEY": "77" * 32}, topics, path)
    assert work(settings, topics)["accepted"] == 2
    (alert,) = run(settings, "alerts")  # type: ignore[misc]  # a list
    assert alert["detector"] == "voter_key"
    assert alert["evidence"]["found_key"] != alert["evidence"]["expected_key"]


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["ed25519", "hmac-sha256"])
def test_with_publishers_unsigned_and_forged_votes_are_rejected_by_reason(
    scheme: str, tmp_path: Path, settings: dict[str, str], topics: dict[str, str]
) -> None:
    signing = {**settings, "INTEGRITY_PUBLISH_KEY": f"arena={scheme}:{'1f' * 32}"}
    publishers = run(signing, "publish", "--show-key")["publisher"]
    assert (("1f" * 32) in publishers) == (scheme == "hmac-sha256")
    honest = write_jsonl(tmp_path / "honest.jsonl", [vote(at, f"voter {at % 7}") for at in range(40)])
    forged = write_jsonl(tmp_path / "forged.jsonl", [vote(100 + at, "voter 3") for at in range(60)])
    other = write_jsonl(tmp_path / "other.jsonl", [vote(200 + at, "voter 4") for at in range(5)])
    publish(signing, topics, honest)
    publish(settings, topics, forged)
    publish({**settings, "INTEGRITY_PUBLISH_KEY": f"rival={scheme}:{'2e' * 32}"}, topics, other)
    producer = KafkaProducer(bootstrap_servers=topics["server"])
    for record in topic_records(topics["server"], topics["votes"])[:40]:
        if any(name == "ce_signature" for name, _ in record.headers):  # an honest signature under another vote
            value = record.value.replace(b'"q', b'"forged q')
            producer.send(topics["votes"], value=value, key=record.key, headers=record.headers)
    producer.close()
    limits = {"INTEGRITY_PUBLISHERS": publishers, "INTEGRITY_MAX_CONSECUTIVE_REJECTS": "20"}
    done = work({**settings, **limits}, topics)
    assert done["accepted"] == 40
    r, v = schema.reject.c, schema.vote.c
    reasons = Counter(reason for (reason,) in query(settings, sa.select(r.reason)))
    assert reasons["unsigned"] >= 65
    assert reasons["bad_signature"] > 0
    assert set(reasons) == {"unsigned", "bad_signature"}
    assert {vote_id for (vote_id,) in query(settings, sa.select(v.vote_id))} == {f"q{at}" for at in range(40)}


@pytest.mark.long
def test_with_publishers_an_unsigned_registry_event_changes_nothing(
    tmp_path: Path, settings: dict[str, str], topics: dict[str, str]
) -> None:
    signing = {**settings, "INTEGRITY_PUBLISH_KEY": f"arena=ed25519:{'1f' * 32}"}
    event = {"schema": 1, "at": "2026-01-01T00:00:00Z", "type": "model.submitted", "provider": "a", "license": "open"}
    for number, (by, model) in enumerate(((signing, "alder"), (settings, "birch"))):
        row = {**event, "event_id": f"e{number}", "model": model, "visibility": "public"}
        publish(by, topics, write_jsonl(tmp_path / f"registry-{number}.jsonl", [row]))
    publishers = run(signing, "publish", "--show-key")["publisher"]
    work({**settings, "INTEGRITY_PUBLISHERS": publishers}, topics)
    e, r = schema.registry_event.c, schema.registry_reject.c
    assert query(settings, sa.select(e.event_id)) == [("e0",)]
    assert query(settings, sa.select(r.reason, r.offset)) == [("unsigned", 1)]


def test_the_access_rules_name_every_topic_of_the_settings() -> None:
    text = (Path(__file__).parents[2] / "deploy" / "kafka" / "acls.sh").read_text()
    defaults = Settings()
    for topic in (defaults.topic_votes, defaults.topic_registry, defaults.topic_alerts, defaults.topic_rejected):
        assert f":-{topic}}}" in text
