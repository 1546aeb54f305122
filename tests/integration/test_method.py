"""A store's method: which votes a board counts, what a changed rule changes, and that every figure is recounted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from pipeline import jobs
from pipeline.api.app import create_app
from pipeline.events.pseudonym import format_pseudonym
from pipeline.ledger import manifest
from pipeline.ledger.bundle_verification import verify_bundle
from pipeline.ledger.published_views import counts_digest
from pipeline.open_store import now
from pipeline.ratings import PairCounts, compute_leaderboard
from pipeline.settings import Settings
from pipeline.store.boards import exclusion_list, snapshots
from tests.command import called
from tests.integration.board_of_votes import MODELS, OPTIONS, Board, event, using

RULES = {
    "not_anonymous": lambda one: one.get("anonymous") is False,
    "refusal": lambda one: one.get("refusal") is True,
    "deduplicated": lambda one: one.get("deduplicated") is True,
    "identity_leak": lambda one: one.get("identity_leak") is True,
}  # fmt: skip
"""Rule → whether it names an event; in the order in which the method applies them."""

VOTES = 1_200
Keep = Callable[[dict[str, Any]], bool]


def flagged(n: int) -> dict[str, Any]:
    """A vote with flags, some of them several, and labels that overlap; every fourth vote states nothing."""
    if n % 4 == 0:
        return event(n, language=None)
    return event(
        n,
        anonymous=n % 7 != 3,
        refusal=n % 11 == 5,
        deduplicated=n % 13 == 6,
        identity_leak=n % 17 == 1,
        categories=["coding"] * (n % 2) + ["math"] * (n % 3 == 0) + ["law"] * (n % 101 == 1),
    )


EVENTS = [flagged(n) for n in range(VOTES)]


def method_file(folder: Path, name: str = "mine", **rules: bool) -> str:
    path = folder / f"{name}.toml"
    lines = [f'name = "{name}"', "[rules]", *(f"{rule} = {str(on).lower()}" for rule, on in rules.items())]
    path.write_text("\n".join([*lines, "[listing]", "preliminary_votes = 500", "[boards]", "least_votes = 100"]))
    return str(path)


def counted(rules: tuple[str, ...], keep: Keep = lambda _: True) -> PairCounts:
    """The counts of the events that no rule names, one after the other."""
    rows = [one for one in EVENTS if keep(one) and not any(RULES[rule](one) for rule in rules)]
    return PairCounts.from_labels(*([one[name] for one in rows] for name in ("model_a", "model_b", "winner")))


def by_first_rule(rules: tuple[str, ...]) -> dict[str, int]:
    found = dict.fromkeys(rules, 0)
    for one in EVENTS:
        first = next((rule for rule in rules if RULES[rule](one)), None)
        if first is not None:
            found[first] += 1
    return found


def labelled(kind: str, text: str) -> Keep:
    if kind == "language":
        return lambda one: one["language"] == text
    return lambda one: text in one.get("categories", ())


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.postgres, pytest.mark.long])])
def board(request: pytest.FixtureRequest, tmp_path: Path) -> Board:
    on_disk = request.param == "sqlite"
    url = str(tmp_path / "store.db") if on_disk else str(request.getfixturevalue("postgres_store"))
    return Board(url, tmp_path, options(method_file(tmp_path, **dict.fromkeys(RULES, True))))


@pytest.fixture
def small(tmp_path: Path) -> Board:
    """A board on SQLite, for what does not depend on the database."""
    return Board(str(tmp_path / "store.db"), tmp_path, options(method_file(tmp_path, **dict.fromkeys(RULES, True))))


def options(method: str) -> Settings:
    return OPTIONS.model_copy(update={"method": method})


def filled(board: Board) -> Board:
    """The board with all votes, in two seals."""
    with using(board.options):
        board.read(*EVENTS[:700])
        jobs.seal(board.url)
        board.read(*EVENTS[700:])
    return board


def published(board: Board, method: str | None = None) -> tuple[dict[str, Any], manifest.Manifest]:
    """What a refresh by a method says, and the manifest that it published, verified from its bundle."""
    with using(board.options if method is None else options(method)):
        said = board.refresh()
        files = board.bundle()
        verify_bundle(files, board.trusted())
        jobs.verify_ledger(board.url)
    return said, manifest.load(files["manifest.json"])


def test_the_boards_are_those_of_a_recount_and_the_verifier_agrees(board: Board) -> None:
    said, found = published(filled(board))
    rules = tuple(RULES)
    expected = by_first_rule(rules)
    assert min(expected.values()) > 10
    assert found.method is not None
    assert (found.method.name, found.method.rules, dict(found.method.left_out)) == ("mine", rules, expected)
    assert said["method"]["left_out"] == expected
    assert found.views.raw.counts_sha256 == counts_digest(counted(()))
    assert found.views.defended.counts_sha256 == counts_digest(counted(rules))
    assert said["votes_raw"] == said["votes_counted"] + sum(expected.values()) == VOTES
    boards = found.boards or {}
    assert sorted(boards) == ["category/coding", "category/math", "language/en", "language/fr"] == said["boards"]
    for name, view in boards.items():
        counts = counted(rules, labelled(*name.split("/")))
        assert (view.votes, view.counts_sha256) == (counts.total, counts_digest(counts))
        again = compute_leaderboard(counts).rounded()
        assert {row.model: row.rating for row in view.rows} == dict(zip(again.models, again.rating, strict=True))
    law = counted(rules, labelled("category", "law")).total
    assert said["boards_left_out"] == {"category/law": f"{law} votes: the method asks for 100"}


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements of all engines within the block."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    sa.event.listen(sa.engine.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", note)


def test_a_changed_method_publishes_again_without_reading_a_vote(board: Board, tmp_path: Path) -> None:
    filled(board)
    with using(board.options):
        first = board.refresh()
        assert board.refresh()["snapshot"] == first["snapshot"]
    without = tuple(rule for rule in RULES if rule != "refusal")
    with using(options(method_file(tmp_path, "less", **dict.fromkeys(without, True)))):
        log_size = jobs.seal(board.url)
        with statements() as run:
            candidate = jobs.rate(board.url, log_size)
    # The search for a voter who dominates the board is no part of rating.
    votes = [one for one in run if re.search(r"\b(FROM|JOIN) vote\b", one) and "GROUP BY vote.voter" not in one]
    assert votes == []
    assert len([one for one in run if "sealed_total" in one]) <= 4
    assert candidate != first["snapshot"]
    with board.store() as store, store.read() as connection:
        body = snapshots.find_candidate(connection, candidate).body
    assert body["method"]["left_out"] == by_first_rule(without)


def test_a_rule_turned_off_and_on_changes_the_board_by_its_votes_and_diff_names_it(
    board: Board, tmp_path: Path
) -> None:
    filled(board)
    rules = tuple(RULES)
    _, before = published(board)
    off = method_file(tmp_path, "off", **dict.fromkeys([one for one in rules if one != "identity_leak"], True))
    _, without = published(board, off)
    gained = without.views.defended.votes - before.views.defended.votes
    assert gained == by_first_rule(rules)["identity_leak"] > 10
    assert without.views.defended.counts_sha256 == counts_digest(counted(rules[:-1]))
    _, again = published(board)
    assert again.views.defended.counts_sha256 == before.views.defended.counts_sha256
    assert again.views.defended.rows == before.views.defended.rows
    settings = {"INTEGRITY_STORE": board.url, "INTEGRITY_VOTER_KEY": board.options.voter_key, "COLUMNS": "200"}
    ids = published_ids(board)
    document = json.loads(called("diff", ids[0], ids[1], "--json", settings=settings).stdout)
    assert (document["rules_on"], document["rules_off"]) == ([], ["identity_leak"])
    old, new = ({row.model: row.rating for row in one.views.defended.rows} for one in (before, without))
    for row in document["rows"]:
        change = round(new[row["model"]] - old[row["model"]], 2)
        assert row["points"] == {"settings": 0.0, "method": change, "exclusions": 0.0, "votes": 0.0}
        assert row["rules"] == {"identity_leak": change}
        assert not change or f"(identity_leak {change:+.1f}".replace("-", "−") in row["reason"]
    told = called("diff", ids[1], ids[2], settings=settings).stdout
    assert f"the rule identity_leak was turned on: {gained} votes on a conversation that gives" in told


def published_ids(board: Board) -> list[str]:
    with board.store() as store, store.read() as connection:
        return [one.snapshot_id for one in snapshots.read_published(connection)]


def test_several_rules_and_new_votes_are_attributed_one_by_one(small: Board) -> None:
    with using(small.options):
        small.read(*EVENTS[:871])
    none, _ = published(small, "none")
    with using(small.options):
        small.read(*EVENTS[871:])
    published(small)
    settings = {"INTEGRITY_STORE": small.url, "INTEGRITY_VOTER_KEY": small.options.voter_key}
    for view in ("defended", "category/coding", "raw"):
        chosen = ("--board", view) if "/" in view else ("--view", view)
        done = called("diff", none["snapshot"], *chosen, "--json", settings=settings)
        document = json.loads(done.stdout)
        assert document["rules_on"] == list(RULES)
        for row in document["rows"]:
            assert sum(row["points"].values()) == pytest.approx(row["rating"], abs=0.03)
            assert sum(row["rules"].values()) == pytest.approx(row["points"]["method"], abs=0.03)
        moved = [row["points"]["method"] for row in document["rows"]]
        assert any(moved) == (view != "raw")
        assert any(row["points"]["votes"] for row in document["rows"])


def test_a_vote_that_is_excluded_and_left_out_is_left_out_once(board: Board) -> None:
    filled(board)
    with using(board.options), board.store() as store, store.write() as connection:
        label = format_pseudonym(store.pseudonym("voter 9"))
        exclusion_list.add_entry(connection, "exclude", "voter", label, "it voted for money", "Ada", now())
    said, found = published(board)
    rules = tuple(RULES)
    theirs = lambda one: one["voter_id"] == "voter 9"  # noqa: E731
    both = [one for one in EVENTS if theirs(one) and any(RULES[rule](one) for rule in rules)]
    assert len(both) > 3
    assert said["votes_excluded"] == sum(map(theirs, EVENTS)) - len(both)
    assert said["method"]["left_out"] == by_first_rule(rules)
    assert found.views.defended.counts_sha256 == counts_digest(counted(rules, lambda one: not theirs(one)))
    coding = labelled("category", "coding")
    expected = counted(rules, lambda one: coding(one) and not theirs(one))
    assert (found.boards or {})["category/coding"].counts_sha256 == counts_digest(expected)


def test_a_decision_moves_only_votes_that_no_rule_leaves_out(small: Board) -> None:
    published(filled(small))
    settings = {"INTEGRITY_STORE": small.url, "INTEGRITY_VOTER_KEY": small.options.voter_key}
    label = json.loads(called("pseudonym", "voter 9", "--json", settings=settings).stdout)["pseudonym"]
    done = called(
        "alerts", "exclude", f"voter:{label}", "--name", "Ada", "--reason", "bought", "--json", settings=settings
    )
    theirs = [one for one in EVENTS if one["voter_id"] == "voter 9"]
    counts = [one for one in theirs if not any(names(one) for names in RULES.values())]
    assert 0 < len(counts) < len(theirs)
    assert json.loads(done.stdout)["next_refresh"] == {"votes_in": 0, "votes_out": len(counts)}, done.stderr


def test_votes_of_frequent_prompts_beyond_the_sample_are_left_out(small: Board, tmp_path: Path) -> None:
    hot = [event(n, prompt_hash="ab" * 16 if n % 6 == 0 else f"{n:032x}") for n in range(600)]
    with using(small.options):
        small.read(*hot)
    said, found = published(small, method_file(tmp_path, "sampled", frequent_prompt=True))
    assert said["method"]["left_out"] == {"frequent_prompt": 90}  # 100 votes, of which a sample of 10 stays
    assert found.views.defended.votes == 510
    everything, _ = published(small, "none")
    assert (everything["votes_counted"], everything["method"]["rules"]) == (600, [])


def test_models_under_test_and_those_with_few_votes_are_rated_and_not_listed(small: Board, tmp_path: Path) -> None:
    registered = [
        {"schema": 1, "event_id": f"{n}", "type": "model.submitted", "at": "2026-01-01T00:00:00Z", "model": model,
         "provider": "p", "visibility": "private" if model == "bee" else "public", "license": "open"}
        for n, model in enumerate(MODELS)
    ]  # fmt: skip
    path = tmp_path / "registry.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in registered))
    settings = {
        "INTEGRITY_STORE": small.url, "INTEGRITY_VOTER_KEY": small.options.voter_key, "COLUMNS": "200",
        "INTEGRITY_METHOD": small.options.method,
    }  # fmt: skip
    filled(small)
    votes = tmp_path / "more.jsonl"
    votes.write_text(json.dumps(event(VOTES)) + "\n")
    done = called("work", "--source", str(votes), "--registry", str(path), settings=settings)
    assert done.returncode == 0, done.stderr
    _, found = published(small)
    assert "bee" in {row.model for row in found.views.defended.rows}
    document = json.loads(called("leaderboard", "--json", settings=settings).stdout)
    assert {row["model"] for row in document["rows"]} == set(MODELS) - {"bee"}
    assert all(row["preliminary"] == (row["votes"] < 500) for row in document["rows"])
    told = called("leaderboard", settings=settings).stdout
    assert "bee" not in told
    assert "1 model under test is rated and not listed" in told


@pytest.mark.long
def test_the_commands_say_what_was_left_out_and_show_boards_by_label(small: Board, tmp_path: Path) -> None:
    filled(small)
    settings = {
        "INTEGRITY_STORE": small.url, "INTEGRITY_VOTER_KEY": small.options.voter_key, "COLUMNS": "200",
        "INTEGRITY_METHOD": small.options.method,
    }  # fmt: skip
    dry = json.loads(called("refresh", "--dry-run", "--json", settings=settings).stdout)
    assert dry["method"]["left_out"] == by_first_rule(tuple(RULES))
    told = called("refresh", settings=settings).stderr
    votes = by_first_rule(tuple(RULES))["not_anonymous"]
    assert f"{votes} votes cast with the models' names in view are left out by the rule not_anonymous" in told
    assert "4 boards by category and language: category/coding, category/math, language/en, language/fr" in told
    assert "no board category/law:" in told
    shown = json.loads(called("leaderboard", "--board", "category/math", "--json", settings=settings).stdout)
    assert (shown["board"], len(shown["rows"])) == ("category/math", 4)
    assert "language/fr" in called("leaderboard", "--board", "language/fr", settings=settings).stdout
    for words, reason in (
        (("--board", "category/law"), "the method asks for 100"),
        (("--board", "category/[red]"), "it has category/coding, category/math"),
        (("--board", "category/math", "--view", "raw"), "--board: expected it with the view defended"),
    ):
        done = called("leaderboard", *words, settings=settings)
        assert (done.returncode, reason in done.stderr) == (2, True), done.stderr
    found = json.loads(called("doctor", "--json", settings=settings).stdout)["method"]
    assert (found["name"], found["rules"], len(found["sha256"])) == ("mine", list(RULES), 64)
    broken = {**settings, "INTEGRITY_METHOD": str(tmp_path / "gone.toml")}
    assert "INTEGRITY_METHOD: expected arena, none or a file" in called("refresh", settings=broken).stderr
    doctor = called("doctor", settings=broken)
    assert doctor.returncode == 1
    assert "method: INTEGRITY_METHOD: expected arena" in doctor.stdout


def test_the_api_and_the_page_show_boards_by_label_and_the_method(small: Board) -> None:
    said, _ = published(filled(small))
    name, rules = said["snapshot"], by_first_rule(tuple(RULES))
    with small.store() as store, TestClient(create_app(store)) as client:
        api = f"/api/v1/snapshots/{name}/leaderboard"
        shown = client.get(f"{api}?board=category/coding").json()
        assert (shown["view"], shown["board"], len(shown["rows"])) == ("defended", "category/coding", 4)
        everything = client.get(api).json()
        assert everything["board"] is None
        assert everything["rows"] != shown["rows"]
        table = client.get(f"{api}?board=category/coding&format=csv").text
        assert [line.split(",")[0] for line in table.splitlines()[1:]] == [row["model"] for row in shown["rows"]]
        newest = client.get("/api/v1/leaderboard?board=language/fr", follow_redirects=False)
        assert newest.headers["location"] == f"{api}?view=defended&board=language%2Ffr"
        for given, status, why in (
            ("board=category/law", 404, "the method asks for 100"),
            ("board=category/nothing", 404, "no vote has this label"),
            ("board=category/coding&view=raw", 422, "the only view of a board by label"),
            ("board=%00", 422, "board"),
        ):
            refused = client.get(f"{api}?{given}")
            assert (refused.status_code, why in refused.text) == (status, True), refused.text
        one = client.get(f"/api/v1/snapshots/{name}").json()
        assert (one["method"], one["left_out"], one["boards"]) == ("mine", rules, said["boards"])
        page = client.get("/").text
        assert f"{rules['refusal']} votes on an answer that is a refusal are left out by the rule refusal" in page
        assert 'href="?board=category%2Fcoding"' in page
        board = client.get("/?board=category%2Fcoding").text
        assert "The board: category coding" in board
        assert all(f">{row['rating']:,.1f}</td>" in board for row in shown["rows"])
        assert client.get(f"/snapshots/{name}/board?board=language/en").status_code == 200
        assert client.get("/?board=category/law").status_code == 404
        snapshot = client.get(f"/snapshots/{name}").text
        assert "category/law has no board: " in snapshot
        assert "<code>not_anonymous</code>" in snapshot


def test_a_method_that_leaves_nothing_to_rate_is_named(small: Board) -> None:
    with using(small.options):
        small.read(*(event(n, anonymous=False) for n in range(60)))
        with pytest.raises(Exception, match=r"the method leaves out 60 by not_anonymous \(INTEGRITY_METHOD=none"):
            small.refresh()
