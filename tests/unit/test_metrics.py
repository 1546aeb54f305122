"""Metrics as a scraper sees them: names, help, label bounds, and what a failing store looks like."""

import http.client
import subprocess
from dataclasses import fields

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.metrics import MAX_MODELS, StoreCollector, StoreStatus, WorkerMetrics
from pipeline.metrics_server import serve
from pipeline.vocabulary.fates import RECORD_FATES

FULL = StoreStatus(
    alerts_open={("voter_bias", "critical"): 2},
    alerts_opened={("voter_bias", "critical"): 5, ("traffic", "warning"): 1},
    incidents_open={("critical", "model"): 1},
    incident_open={("0a1b2c3d4e5f", "critical", "model", "lifted", "m1"): 1},
    incident_accounts={("0a1b2c3d4e5f",): 31},
    incident_votes={("0a1b2c3d4e5f",): 2083},
    incident_votes_left_out={("0a1b2c3d4e5f",): 2000},
    incident_accounts_left_out={("0a1b2c3d4e5f",): 30},
    incident_awaits_refresh={("0a1b2c3d4e5f",): 0},
    incident_e_value={("0a1b2c3d4e5f",): 3e6},
    incident_begun={("0a1b2c3d4e5f",): 1.7e9},
    incident_rank={("0a1b2c3d4e5f", "raw"): 1},
    incident_rank_change={("0a1b2c3d4e5f", "before"): 17},
    alerts_ungrouped={("voter_bias", "critical"): 0},
    decisions={("incident.exclude",): 2},
    halts_open={("offset_gap",): 1},
    votes={("accepted",): 100, ("late",): 3},
    votes_kept={("hot",): 90, ("cold",): 13},
    archive_bytes=1400,
    unchecked_votes=12,
    rejects={("bad_json",): 4},
    next_offset={("arena.votes", 0): 107},
    unsealed_offsets={("arena.votes", 0): 7},
    watermark={("arena.votes", 0): 1.7e9},
    monitor_position=1.69e9,
    last_ingest=1.7e9,
    refresh_last_success=1.7e9,
    audit_last_success=1.6e9,
    quality_gate_success=1,
    quality_warnings={("votes",): 1},
    publications_held=1,
    snapshot_sequence=3,
    snapshot_votes={("raw",): 103, ("defended",): 98},
    snapshot_excluded_votes=2,
    unrated_models=1,
    dominant_voter_share=0.3,
    rating_points={("m1", "raw"): 12.5, ("m2", "raw"): -12.5},
    rating_rank={("m1", "raw"): 1, ("m2", "raw"): 2},
)


def exporter(status: StoreStatus) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(StoreCollector(lambda: status, version="0.1.0"))
    return registry


def worker() -> WorkerMetrics:
    """A worker that has done a bit of everything."""
    metrics = WorkerMetrics()
    metrics.votes.labels("accepted").inc(10)
    metrics.batches.inc()
    metrics.batch_seconds.observe(0.2)
    metrics.partition_lag.labels("arena.votes", 0).set(5)
    metrics.last_progress.set(1.7e9)
    metrics.fenced.inc()
    metrics.halted.set(0)
    metrics.rejects.labels("bad_json").inc()
    return metrics


def text(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.mark.parametrize("registry", [exporter(FULL), worker().registry], ids=["exporter", "worker"])
def test_every_metric_has_the_prefix_and_help_and_no_created_series(registry):
    families = list(text_string_to_metric_families(text(registry)))
    assert families
    assert all(family.name.startswith("integrity_") for family in families)
    assert all(family.documentation for family in families)
    assert not [family.name for family in families if family.name.endswith("_created")]


@pytest.mark.parametrize("registry", [exporter(FULL), worker().registry], ids=["exporter", "worker"])
def test_promtool_finds_nothing_to_complain_about(promtool, registry):
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text(registry), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_one_field_of_the_status_is_one_metric():
    names = [each.metadata["name"] for each in fields(StoreStatus)]
    assert len(names) == len(set(names))
    shown = {name.split("{")[0].split(" ")[0] for name in text(exporter(FULL)).splitlines()}
    assert set(names) <= shown


def test_labels_are_in_the_order_that_the_field_gives():
    registry = exporter(FULL)
    where = {"detector": "voter_bias", "severity": "critical"}
    assert registry.get_sample_value("integrity_alerts_open", where) == 2
    where = {"source": "arena.votes", "partition": "0"}
    assert registry.get_sample_value("integrity_unsealed_offsets", where) == 7
    assert registry.get_sample_value("integrity_build_info", {"version": "0.1.0"}) == 1


def test_what_is_not_known_has_no_series():
    samples = [sample.name for family in exporter(StoreStatus()).collect() for sample in family.samples]
    assert samples == ["integrity_build_info", "integrity_exporter_store_up"]


def test_a_store_that_fails_leaves_no_stale_number_and_recovers():
    answers = iter([FULL, ConnectionError("gone"), FULL])

    def read() -> StoreStatus:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    collector = StoreCollector(read)
    registry = CollectorRegistry()
    registry.register(collector)  # does not read
    assert registry.get_sample_value("integrity_exporter_store_up") == 1
    samples = [sample for family in registry.collect() for sample in family.samples]
    assert {sample.name: sample.value for sample in samples} == {
        "integrity_build_info": 1,
        "integrity_exporter_store_up": 0,
    }
    assert collector.error == "ConnectionError: gone"
    assert registry.get_sample_value("integrity_snapshot_sequence") == 3
    assert collector.error is None


def test_models_are_capped_by_rank_in_each_view_and_one_without_a_rank_is_not_shown():
    ranks = {(f"m{n:04}", view): n + 1 for n in range(MAX_MODELS + 50) for view in ("raw", "defended")}
    points = {key: 1000.0 - rank for key, rank in ranks.items()} | {("ghost", "raw"): 2000.0}
    registry = exporter(StoreStatus(rating_points=points, rating_rank=ranks))
    for name in ("integrity_rating_points", "integrity_rating_rank"):
        family = next(family for family in registry.collect() if family.name == name)
        assert len(family.samples) == 2 * MAX_MODELS
        assert {sample.labels["model"] for sample in family.samples} == {f"m{n:04}" for n in range(MAX_MODELS)}


def test_a_model_name_cannot_break_the_exposition():
    name = 'evil"} 1\nintegrity_halts_open{reason="x'
    registry = exporter(StoreStatus(rating_points={(name, "raw"): 1}, rating_rank={(name, "raw"): 1}))
    families = {family.name: family for family in text_string_to_metric_families(text(registry))}
    assert families["integrity_rating_rank"].samples[0].labels["model"] == name
    assert families["integrity_halts_open"].samples == []


def test_two_workers_in_one_process_do_not_share_counts():
    one, other = worker(), WorkerMetrics()
    assert one.registry.get_sample_value("integrity_worker_votes_total", {"fate": "accepted"}) == 10
    assert other.registry.get_sample_value("integrity_worker_votes_total", {"fate": "accepted"}) == 0


def test_every_fate_is_there_from_the_start():
    registry = WorkerMetrics().registry
    values = [registry.get_sample_value("integrity_worker_votes_total", {"fate": fate}) for fate in RECORD_FATES]
    assert values == [0] * 5


def test_a_revoked_partition_has_no_lag_any_more_and_the_others_do():
    metrics = worker()
    metrics.partition_lag.labels("arena.votes", 1).set(9)
    metrics.revoked("arena.votes", 0)
    metrics.revoked("arena.votes", 7)  # was never owned
    lag = "integrity_worker_partition_lag_offsets"
    assert metrics.registry.get_sample_value(lag, {"source": "arena.votes", "partition": "0"}) is None
    assert metrics.registry.get_sample_value(lag, {"source": "arena.votes", "partition": "1"}) == 9


def test_serve_answers_and_says_nothing(capfd):
    server = serve(exporter(FULL), 0)
    try:
        status, body = get(server.port, "/metrics")
        assert (status, "integrity_snapshot_sequence 3.0" in body) == (200, True)
        assert get(server.port, "/healthz") == (200, "ok\n")
        assert get(server.port, "/other")[0] == 404
    finally:
        server.close()
    with pytest.raises(ConnectionRefusedError):
        get(server.port, "/metrics")
    assert capfd.readouterr() == ("", "")


def test_health_is_200_or_503_and_a_fault_in_it_is_503_without_its_message():
    answers = iter([(True, "idle"), (False, "no commit for 90 s")])
    server = serve(CollectorRegistry(), 0, health=lambda: next(answers))
    try:
        assert get(server.port, "/healthz") == (200, "idle\n")
        assert get(server.port, "/healthz") == (503, "no commit for 90 s\n")
        assert get(server.port, "/healthz") == (503, "StopIteration\n")
    finally:
        server.close()


def test_a_slow_scrape_does_not_hold_up_health():
    import threading

    go_on = threading.Event()

    def read() -> StoreStatus:
        go_on.wait(5)
        return FULL

    registry = CollectorRegistry()
    registry.register(StoreCollector(read))
    server = serve(registry, 0)
    scrape = threading.Thread(target=get, args=(server.port, "/metrics"))
    try:
        scrape.start()
        assert get(server.port, "/healthz")[0] == 200
        assert scrape.is_alive()
    finally:
        go_on.set()
        scrape.join()
        server.close()
