"""The laws of a store, over SQLite and PostgreSQL."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError

from pipeline.errors import Fenced, MissingKey, StoreUnavailable, Usage
from pipeline.events import Reject, VoteBatch, decode_votes, to_columns
from pipeline.events.pseudonym import format_pseudonym
from pipeline.evidence import Reference
from pipeline.ledger.manifest import NO_PREVIOUS
from pipeline.open_store import key_folder, open_store
from pipeline.scoring.signals import AlertSignal
from pipeline.scoring.sittings import count_voters, voter_number
from pipeline.scoring.window_counter import COLUMNS, WindowCounts
from pipeline.store import Store
from pipeline.store.alerting import alert_lifecycle, alert_queries, outbox
from pipeline.store.boards import exclusion_list, reference_codec, snapshots
from pipeline.store.boards.reference_codec import read_reference
from pipeline.store.db import leases, migrate, schema
from pipeline.store.db.engine import is_transient
from pipeline.store.read import store_figures
from pipeline.store.votes import ingest, partitions, snapshots_in_force, voter_states, window_counts
from pipeline.store.votes.dictionary import NameDictionary, model_names
from pipeline.stream.decoding import PseudonymCache
from pipeline.stream.retry import RetryPolicy

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SECOND = 1_000_000


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url, voter_key=KEY, worker=True)
    yield opened
    opened.close()


def batch(store: Store, ids: list[str], partition: int, first: int, **other: str) -> VoteBatch:
    """Votes with these ids at the offsets from `first` on."""
    fields = "".join(f', "{name}": "{value}"' for name, value in other.items())
    votes, _, rejects = decode_votes(
        [
            f'{{"schema": 1, "vote_id": "{i}", "cast_at": "2026-03-01T00:00:00Z", "model_a": "m1", "model_b": "m2",'
            f' "winner": "tie", "voter_id": "voter of {i}"{fields}}}'.encode()
            for i in ids
        ]
    )
    assert not rejects
    n = len(votes)
    at = np.full(n, 1_772_323_200 * SECOND)
    return to_columns(
        votes, np.full(n, partition, np.int32), np.arange(first, first + n), at, PseudonymCache(store.pseudonym)
    )


def numbers(n: int) -> dict[str, Any]:
    terms = {name: np.zeros(n, np.int32) for name in ("language", "category", "network")}
    return {**terms, "model_a": np.full(n, 1, np.int32), "model_b": np.full(n, 2, np.int32)}


def progress(claim: partitions.PartitionClaim, first: int, end: int, **counts: int) -> partitions.BatchProgress:
    zero = dict.fromkeys(("read", "accepted", "late", "quarantined", "duplicate", "rejected"), 0)
    return partitions.BatchProgress(claim.partition_no, claim.epoch, first, end, None, **(zero | counts))


def claimed(
    store: Store, number: int = 0, source: str = "kafka:c/votes", owner: str = "one"
) -> partitions.PartitionClaim:
    with store.write() as connection:
        return partitions.claim(connection, partitions.register_source(connection, source), number, 0, owner, 0)


def write(store: Store, claim: partitions.PartitionClaim, ids: list[str], first: int) -> None:
    """A batch of new votes as a worker writes it."""
    votes = batch(store, ids, claim.partition_no, first)
    with store.write() as connection:
        one = progress(claim, first, first + len(ids), read=len(ids), accepted=len(ids))
        partitions.fence(connection, one, 0)
        ingest.write_votes(connection, votes, numbers(len(ids)), np.zeros(len(ids), np.int8))
        partitions.record_batch(connection, [one])


def raised(store: Store, voter: str, **other: Any) -> AlertSignal:
    fields: dict[str, Any] = {
        "detector": "voter_bias", "subject_kind": "voter", "subject": format_pseudonym(store.pseudonym(voter)),
        "direction": "biased", "severity": "critical", "e_value": 2e4, "level": 2, "partition": 1, "offset": 7,
        "at": SECOND, "evidence": {"model": 1},
    }  # fmt: skip
    return AlertSignal(**(fields | other))


# Opening.


def test_the_migrations_create_the_tables_that_queries_are_written_against(store: Store) -> None:
    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_the_version_of_the_code_is_the_head_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.NEWEST]


@pytest.mark.long
def test_processes_that_open_a_new_store_at_once_agree_on_its_tables_id_and_key(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # the key of a PostgreSQL store that was given none
    script = (
        "import sys; from pipeline.open_store import open_store; s = open_store(sys.argv[1]);"
        " print(s.store_id, s.voter_key.hex())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ended = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ended
    assert len({printed for printed, _ in ended}) == 1
    assert key_folder(url).stat().st_mode & 0o777 == 0o700
    assert (key_folder(url) / "voter.key").stat().st_mode & 0o777 == 0o600
    again = open_store(url)
    assert [again.store_id, again.voter_key.hex()] == ended[0][0].split()
    again.close()


def test_a_store_without_its_key_or_with_another_one_does_not_open(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store(url).close()
    with pytest.raises(MissingKey, match="not the one"):
        open_store(url, voter_key=OTHER_KEY)
    shutil.rmtree(key_folder(url))
    with pytest.raises(MissingKey, match="expected the voter key"):
        open_store(url)
    assert not key_folder(url).exists()


def test_a_reader_creates_no_store(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="expected a store"):
        open_store(url, voter_key=KEY, create=False)


# A batch.


def test_a_former_owner_is_fenced_and_offsets_never_move_back(store: Store) -> None:
    first = claimed(store)
    write(store, first, ["a", "b"], 0)
    second = claimed(store, owner="two")
    assert (second.partition_no, second.epoch, second.next_offset, second.fresh) == (first.partition_no, 2, 2, False)
    with pytest.raises(Fenced):
        write(store, first, ["c"], 2)
    with pytest.raises(Fenced):
        write(store, second, ["c"], 1)  # done already
    write(store, second, ["c"], 5)  # offsets may have gaps
    with store.read() as connection:
        assert partitions.next_offsets(connection, 1) == {0: 6}
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.vote)) == 3


def test_known_ids_are_found_with_their_positions_and_bodies_and_repeats_are_recorded(store: Store) -> None:
    claim = claimed(store)
    write(store, claim, ["a", "b"], 0)
    again = batch(store, ["a", "new", "b"], claim.partition_no, 2)
    other = batch(store, ["b"], claim.partition_no, 2, language="fr")
    with store.write() as connection:
        keys = ingest.vote_keys(again)
        known = ingest.find_by_key(connection, keys)
        assert known == {keys[0].tobytes(): (claim.partition_no, 0), keys[2].tobytes(): (claim.partition_no, 1)}
        place = known[keys[2].tobytes()]
        assert ingest.stored_bodies(connection, [place, known[keys[0].tobytes()]]) == [
            ingest.vote_bodies(again, numbers(3))[at] for at in (2, 0)
        ]
        assert ingest.stored_bodies(connection, [place]) != ingest.vote_bodies(
            other, numbers(1) | {"language": np.array([1])}
        )
        ingest.write_duplicates(connection, other, [place], [False])
        rows = connection.execute(sa.select(schema.duplicate)).all()
    assert [tuple(row) for row in rows] == [(claim.partition_no, 2, claim.partition_no, 1, False)]


def test_more_ids_than_a_statement_takes_are_probed(store: Store) -> None:
    claim = claimed(store)
    write(store, claim, [f"v{n}" for n in range(40)], 0)
    many = batch(store, [f"v{n}" for n in range(12_000)], claim.partition_no, 40)
    with store.read() as connection:
        assert len(ingest.find_by_key(connection, ingest.vote_keys(many))) == 40


def test_the_unique_key_decides_between_two_transactions(store: Store) -> None:
    """Both probe and find nothing: one rolls back completely, and finds a duplicate when it is tried again."""
    claims = [claimed(store, 0), claimed(store, 1)]
    errors: list[DBAPIError] = []
    both = threading.Barrier(2, timeout=20)

    def bring(claim: partitions.PartitionClaim) -> None:
        votes = batch(store, ["same", f"own {claim.number}"], claim.partition_no, 0)
        with store.read() as connection:
            assert ingest.find_by_key(connection, ingest.vote_keys(votes)) == {}
        both.wait()
        try:
            write(store, claim, ["same", f"own {claim.number}"], 0)
        except DBAPIError as error:
            errors.append(error)

    threads = [threading.Thread(target=bring, args=(claim,)) for claim in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(errors) == 1
    assert is_transient(errors[0]) or store.engine.dialect.name == "sqlite"  # one SQLite writer probes inside its lock
    with store.read() as connection:
        done = partitions.next_offsets(connection, 1)
        assert sorted(done.values()) == [0, 2]
        winner = next(number for number, end in done.items() if end)
        stored = connection.scalars(sa.select(schema.vote.c.vote_id)).all()
        assert sorted(stored) == [f"own {winner}", "same"]
        assert len(ingest.find_by_key(connection, ingest.vote_keys(batch(store, ["same"], 1, 0)))) == 1
        assert store_figures.find_gaps(connection) == []


def test_two_connections_give_a_new_name_the_same_number(store: Store, url: str) -> None:
    other = open_store(url, voter_key=KEY)
    texts = [f"model {n}" for n in range(700)]
    found: dict[int, Any] = {}

    def ask(at: int, names: NameDictionary, given: list[str]) -> None:
        found[at] = dict(zip(given, names.numbers("model", given).tolist(), strict=True))

    threads = [
        threading.Thread(target=ask, args=(0, NameDictionary(store), texts)),
        threading.Thread(target=ask, args=(1, NameDictionary(other), texts[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 700
    assert NameDictionary(store).numbers("language", ["fr", None, "fr"]).tolist()[1] == 0
    with store.read() as connection:
        assert {name: number for number, name in model_names(connection).items()} == found[0]
    other.close()


def test_states_are_read_as_they_were_written_and_the_last_one_counts(store: Store) -> None:
    states = {voter: bytes([voter % 251, 0, 255]) for voter in range(-6_000, 6_000)}
    with store.write() as connection:
        voter_states.write(connection, {1: states})
        voter_states.write(connection, {1: {5: b"newer"}, 2: {5: b""}})
        asked = [*states, 7_000]
        assert voter_states.read(connection, 1, asked) == states | {5: b"newer"}
        assert voter_states.read(connection, 2, asked) == {5: b""}
        assert voter_states.read(connection, 3, asked) == {}


def test_a_reject_with_nul_bytes_is_stored(store: Store) -> None:
    reject = Reject(0, "text", "got 'm\x00'", b"\x00" * 32, b"a\x00b")
    one = np.array([1])
    with store.write() as connection:
        ingest.write_rejects(connection, [reject], one, one, one, ["file#1"])
        row = connection.execute(sa.select(schema.reject.c.detail, schema.reject.c.sample)).one()
    assert (row.detail, bytes(row.sample)) == (r"got 'm\0'", b"a\x00b")


def test_windows_add_up_over_batches(store: Store) -> None:
    def counted(accepted: int, *rows: tuple[int, ...]) -> WindowCounts:
        counts = np.zeros((len(rows), len(COLUMNS)), dtype=np.int64)
        counts[:, 1:7] = np.array(rows, dtype=np.int64).reshape(-1, 6)
        return WindowCounts(300 * SECOND, 1, accepted, 1, counts)

    with store.write() as connection:
        window_counts.add_counts(connection, [counted(2, (1, 0, 2, 1, 1, 0), (2, 0, 2, 1, 1, 0))])
        window_counts.add_counts(connection, [counted(1, (1, 2, 1, 0, 0, 1), (2, 0, 1, 1, 1, 0)), counted(0)][:1])
        [found] = window_counts.read_range(connection, 0, 600 * SECOND)
        assert window_counts.read_range(connection, 301 * SECOND, 600 * SECOND) == []
    assert (found.accepted, found.late) == (3, 2)
    assert found.counts[:, 1:7].tolist() == [[1, 0, 2, 1, 1, 0], [1, 2, 1, 0, 0, 1], [2, 0, 3, 2, 2, 0]]


def test_the_voters_of_windows_add_up_and_can_be_forgotten(store: Store) -> None:
    nothing = np.zeros((0, len(COLUMNS)), dtype=np.int64)

    def voters(*rows: tuple[int, int]) -> WindowCounts:
        number, network = np.array(rows, dtype=np.int64).T
        (one,) = count_voters(number, network, np.zeros(len(rows), dtype=np.int64), 1)
        return WindowCounts(300 * SECOND, 1, len(rows), 0, nothing, one)

    seven = int(voter_number(np.array([7]))[0])
    with store.write() as connection:
        window_counts.add_counts(connection, [voters((seven, 4), (9, 4))])
        window_counts.add_counts(connection, [voters((seven, 4), (0, 5))])
        [found] = window_counts.read_range(connection, 0, 600 * SECOND)
        assert found.voters is not None
        assert found.voters.rows.tolist() == [[0, 5, 1], [seven, 4, 2], [9, 4, 1]]
        window_counts.forget_voters(connection, [(1, 301 * SECOND, 7), (1, 301 * SECOND, 5), (2, 0, 8)])
        [found] = window_counts.read_range(connection, 0, 600 * SECOND)
        assert found.voters is not None
        assert found.voters.rows.tolist() == [[0, 0, 2], [0, 5, 1], [9, 4, 1]]


def test_the_outbox_gives_the_oldest_messages_of_its_source_until_they_are_delivered(store: Store) -> None:
    with store.write() as connection:
        outbox.enqueue(connection, 1, [("t", b"%d" % n, b"\x00v") for n in range(5)])
        outbox.enqueue(connection, 2, [("t", b"other", b"")])
        first = outbox.read_oldest(connection, 1, 3)
        assert [(topic, key, value) for _, topic, key, value in first] == [("t", b"%d" % n, b"\x00v") for n in range(3)]
        outbox.delete_delivered(connection, [number for number, *_ in first])
        assert [key for _, _, key, _ in outbox.read_oldest(connection, 1, 9)] == [b"3", b"4"]
        assert len(outbox.read_oldest(connection, 2, 9)) == 1


# Gaps.


@pytest.mark.long
@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM batch WHERE first_offset = 2", "expected a batch at 2, got 4"),
        ("UPDATE batch SET next_offset = 3 WHERE first_offset = 0", "expected a batch at 3, got 2"),
        ("DELETE FROM batch WHERE first_offset = 4", "batches end at 4, the partition at 6"),
        ('DELETE FROM vote WHERE "offset" = 3', "the ledger of offsets counts 6 accepted, the tables have 5"),
        ('UPDATE vote SET fate = 1 WHERE "offset" = 3', "the ledger of offsets counts 0 late, the tables have 1"),
    ],
)
def test_a_gap_an_overlap_and_a_missing_vote_are_found(store: Store, damage: str, found: str) -> None:
    claim = claimed(store)
    for first in (0, 2, 4):
        write(store, claim, [f"v{first}", f"v{first + 1}"], first)
    with store.write() as connection:
        assert store_figures.find_gaps(connection) == []
        connection.execute(sa.text(damage))
        assert f"partition {claim.partition_no}: {found}" in store_figures.find_gaps(connection)


# Alerts and exclusions.


def test_the_id_of_an_alert_does_not_depend_on_the_order_of_claims(store: Store) -> None:
    """The store's own number of a partition depends on the order of claims; an alert's id must not."""
    late, early = claimed(store, 1), claimed(store, 0)
    assert (late.partition_no, early.partition_no) != (1, 0)
    with store.write() as connection:
        [alert_id] = alert_lifecycle.open_alerts(
            connection, [raised(store, "v", partition=early.partition_no)], {1: "m1"}, 0
        )
        assert alert_id == raised(store, "v", partition=0).alert_id
        [shown] = alert_queries.list_alerts(connection)
    assert (shown["id"], shown["evidence"]) == (alert_id, {"model": "m1"})


def test_more_evidence_escalates_an_open_alert_and_a_resolved_one_stays_resolved(store: Store) -> None:
    claimed(store)
    with store.write() as connection:
        [first] = alert_lifecycle.open_alerts(
            connection, [raised(store, "v", severity="warning", e_value=150.0, level=1)], {}, 0
        )
        assert alert_lifecycle.open_alerts(connection, [raised(store, "v", offset=9)], {}, 1) == [first]
        alert_lifecycle.change_state(connection, first, "resolve", "ann", "a test", 2)
        [second] = alert_lifecycle.open_alerts(connection, [raised(store, "v", offset=12)], {}, 3)
        assert second != first
        states = {alert["id"]: alert["state"] for alert in alert_queries.list_alerts(connection)}
        assert states == {first: "resolved", second: "open"}
        history = [(h["action"], h["name"]) for h in alert_queries.find_alert(connection, first)["history"]]
    assert history == [("opened", "voter_bias"), ("escalated", "voter_bias"), ("resolve", "ann")]


def test_an_exclusion_needs_a_reason_and_a_name_and_the_last_entry_decides(store: Store) -> None:
    voter = format_pseudonym(store.pseudonym("v"))
    with store.write() as connection:
        for action, target, reason, name in (
            ("exclude", voter, " ", "ann"), ("exclude", voter, "bought", ""), ("restore", voter, "", "ann"),
            ("delete", voter, "bought", "ann"), ("exclude", "not hex", "bought", "ann"),
        ):  # fmt: skip
            with pytest.raises(Usage):
                exclusion_list.add_entry(connection, action, "voter", target, reason, name, 0)
        exclusion_list.add_entry(connection, "exclude", "voter", voter, "bought", "ann", 1)
        exclusion_list.add_entry(connection, "exclude", "vote", "v7", "typo", "bob", 2)
        exclusion_list.add_entry(connection, "restore", "voter", voter, "a mistake", "bob", 3)
        assert exclusion_list.read_active(connection) == [exclusion_list.ActiveExclusion("vote", "v7", "typo", "bob")]
        exclusion_list.add_entry(connection, "exclude", "voter", voter, "bought indeed", "ann", 4)
        assert [(e.kind, e.reason) for e in exclusion_list.read_active(connection)] == [
            ("vote", "typo"), ("voter", "bought indeed"),
        ]  # fmt: skip
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.exclusion)) == 4


def test_auto_voter_follows_critical_alerts_and_leaves_what_a_person_decided(store: Store) -> None:
    claimed(store)
    label = {name: format_pseudonym(store.pseudonym(name)) for name in ("bad", "warned", "forgiven", "by hand")}

    def excluded() -> dict[str, str]:
        return {e.target: e.name for e in exclusion_list.read_active(connection)}

    with store.write() as connection:
        exclusion_list.add_entry(connection, "restore", "voter", label["forgiven"], "known to us", "ann", 0)
        exclusion_list.add_entry(connection, "exclude", "voter", label["by hand"], "bought", "ann", 0)
        bad, *_ = alert_lifecycle.open_alerts(
            connection,
            [raised(store, "bad"), raised(store, "warned", severity="warning"), raised(store, "forgiven")],
            {},
            1,
        )
        assert exclusion_list.apply_auto_voter(connection, 2) == 1
        assert exclusion_list.apply_auto_voter(connection, 3) == 0
        assert excluded() == {label["bad"]: exclusion_list.AUTO_VOTER, label["by hand"]: "ann"}
        alert_lifecycle.change_state(connection, bad, "ack", "ann", "looking", 4)
        assert exclusion_list.apply_auto_voter(connection, 5) == 0
        alert_lifecycle.change_state(connection, bad, "resolve", "ann", "a class", 6)
        assert exclusion_list.apply_auto_voter(connection, 7) == 1
        assert excluded() == {label["by hand"]: "ann"}
        alert_lifecycle.change_state(connection, bad, "reopen", "ann", "after all", 8)
        assert exclusion_list.apply_auto_voter(connection, 9) == 1
        assert excluded() == {label["bad"]: exclusion_list.AUTO_VOTER, label["by hand"]: "ann"}


# Snapshots.


def reference() -> bytes:
    return reference_codec.pack_reference(Reference(0, np.arange(2), np.zeros(2), np.eye(2), 0.3, (3.0, 7.0)))


def candidate(connection: sa.Connection, name: str) -> str:
    row = {"model": "m1", "rating": 1000.0, "lower": 990.0, "upper": 1010.0, "rank": 1, "rank_best": 1,
           "rank_worst": 1, "votes": 3}  # fmt: skip
    return snapshots.add_candidate(connection, name, {"log_size": 3, "name": name}, {"raw": [row]}, reference(), 0)


def test_published_snapshots_have_a_sequence_number_and_are_found_by_id_and_time(store: Store) -> None:
    with store.write() as connection:
        one, two = candidate(connection, "one"), candidate(connection, "two")
        assert candidate(connection, "one") == one
        with pytest.raises(Usage):
            snapshots.find(connection)
        assert read_reference(connection, 1) is None
        first = snapshots.publish(connection, one, 1, NO_PREVIOUS, "first", 10)
        second = snapshots.publish(connection, two, 2, first.digest, "second", 20)
        assert (first.sequence, first.previous) == (1, NO_PREVIOUS)
        assert (second.sequence, second.previous) == (2, first.digest)
        assert snapshots.read_published(connection) == [first, second]
        assert snapshots.find(connection, one[:8]) == first
        assert snapshots.find(connection, at=19) == first
        assert snapshots.latest(connection) == second
        found = read_reference(connection, 2)
        assert found is not None
        assert (found.sequence, found.tie_prior) == (2, (3.0, 7.0))
        with pytest.raises(Usage):
            snapshots.find_candidate(connection, "no such")


def test_a_second_successor_of_a_snapshot_is_impossible(store: Store) -> None:
    with store.write() as connection:
        first, second = candidate(connection, "one"), candidate(connection, "two")
        snapshots.publish(connection, first, 1, NO_PREVIOUS, "first", 0)
    c = schema.snapshot.c
    fork = sa.update(schema.snapshot).where(c.snapshot_id == second)
    with pytest.raises(sa.exc.IntegrityError), store.write() as connection:
        connection.execute(fork.values(sequence=2, previous=NO_PREVIOUS, digest="d", published_at=0))


def test_the_snapshot_in_force_is_the_newest_of_its_partition(store: Store) -> None:
    with store.write() as connection:
        assert snapshots_in_force.newest_sequence(connection, 1) == 0
        snapshots_in_force.put_in_force(connection, 1, 100, 1)
        snapshots_in_force.put_in_force(connection, 1, 200, 2)
        snapshots_in_force.put_in_force(connection, 2, 50, 1)
        assert (
            snapshots_in_force.newest_sequence(connection, 1),
            snapshots_in_force.newest_sequence(connection, 2),
        ) == (2, 1)


# The lease.


def test_a_lease_is_acquired_renewed_refused_and_expires(store: Store) -> None:
    def take(owner: str, at: int) -> bool:
        with store.write() as connection:
            return leases.acquire(connection, "monitor", owner, at * SECOND, 15)

    assert take("one", 0)
    assert take("one", 10)
    assert not take("two", 24)
    assert take("two", 26)
    assert not take("one", 27)
    with store.write() as connection:
        leases.release(connection, "monitor", "one")  # not its own
    assert not take("one", 28)
    with store.write() as connection:
        leases.release(connection, "monitor", "two")
    assert take("one", 29)


def test_a_batch_that_fails_leaves_nothing(store: Store) -> None:
    claim = claimed(store)
    votes = batch(store, ["a"], claim.partition_no, 0)

    def failing(do: Callable[[sa.Connection], None]) -> None:
        with pytest.raises(RuntimeError), store.write() as connection:
            do(connection)
            raise RuntimeError

    def some(connection: sa.Connection) -> None:
        partitions.fence(connection, progress(claim, 0, 1), 0)
        ingest.write_votes(connection, votes, numbers(1), np.zeros(1, np.int8))

    failing(some)
    with store.read() as connection:
        assert partitions.next_offsets(connection, 1) == {0: 0}
        assert ingest.find_by_key(connection, ingest.vote_keys(votes)) == {}
    write(store, claim, ["a"], 0)


def test_a_sequence_that_was_set_back_is_retried_and_no_name_is_lost(store: Store) -> None:
    before = NameDictionary(store).numbers("model", ["a", "b"]).tolist()
    if store.engine.dialect.name == "postgresql":  # SQLite has none: it numbers from the largest on
        with store.write() as connection:
            # As a crash leaves a database that was copied by TEMPLATE without a checkpoint.
            connection.execute(sa.text("SELECT setval(pg_get_serial_sequence('model', 'model_no'), 1, false)"))
    names = NameDictionary(store)
    found = RetryPolicy(store).run(lambda: names.numbers("model", ["c"]).tolist())
    assert found[0] not in before
    assert NameDictionary(store).numbers("model", ["a", "b", "c"]).tolist() == [*before, *found]
