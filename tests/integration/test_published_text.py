"""A file with conversations is published: the store has what the text says, and no text is anywhere."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import sqlalchemy as sa

from pipeline.devstack import KafkaServer
from tests.command import called

SETTINGS = {"INTEGRITY_VOTER_KEY": "5a" * 32, "INTEGRITY_SESSION_SECONDS": "6", "INTEGRITY_ANCHOR": ""}
QUESTION = "Which planet of the solar system has the most moons, and how many of them are larger than ours?"


def battle(n: int, question: str, answer: str) -> dict[str, object]:
    conversation = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"question_id": f"q{n}", "model_a": "gpt-4", "model_b": "claude-2.1", "winner": "tie", "judge": f"voter {n}",
            "tstamp": 1.7e9 + n, "conversation_a": conversation, "conversation_b": conversation[:1]}  # fmt: skip


def test_what_the_text_says_is_stored_and_the_text_is_not(kafka_server: KafkaServer, tmp_path: Path) -> None:
    file, store, topic = tmp_path / "votes.jsonl", tmp_path / "board.db", f"text.{uuid.uuid4().hex[:10]}"
    battles = [
        battle(1, QUESTION, "Saturn."),
        battle(2, QUESTION.upper() + " Thanks", "I am GPT-4, and I say Saturn."),
        battle(3, "Hello there", "Good day."),
    ]
    file.write_text("".join(json.dumps(one) + "\n" for one in battles))
    sent = called(
        "publish", str(file), "--to", kafka_server.url, "--topic", topic, "--partitions", "1",
        "--state", str(tmp_path / "state"), "--json", settings=SETTINGS,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)["text_checks"] == {"battles": 3, "identity_leaks": 1}
    source = f"{kafka_server.url}/{topic}"
    done = called("work", "--source", source, "--store", str(store), "--until-end", "--json", settings=SETTINGS)
    assert json.loads(done.stdout)["accepted"] == 3, done.stderr
    with sa.create_engine(f"sqlite:///{store}").connect() as connection:
        rows = connection.execute(sa.text("SELECT vote_id, prompt, flags FROM vote ORDER BY vote_id")).all()
    leaks = {vote: bool(flags & 8) for vote, _, flags in rows}
    prompts = {vote: prompt for vote, prompt, _ in rows}
    assert leaks == {"q1": False, "q2": True, "q3": False}
    assert 0 != prompts["q1"] == prompts["q2"] != prompts["q3"] != 0
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != file:
            assert b"Saturn" not in path.read_bytes(), path
            assert b"planet" not in path.read_bytes(), path


def test_a_file_that_is_read_without_kafka_has_the_same_leaks(tmp_path: Path) -> None:
    file, store = tmp_path / "votes.jsonl", tmp_path / "board.db"
    answers = ["Saturn.", "I am GPT-4, and I say Saturn."]
    file.write_text("".join(json.dumps(battle(n, QUESTION, answer)) + "\n" for n, answer in enumerate(answers)))
    for _ in range(2):  # what was read once is recognised
        done = called("work", "--source", str(file), "--store", str(store), "--json", settings=SETTINGS)
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["read"] == 0
    with sa.create_engine(f"sqlite:///{store}").connect() as connection:
        leaks = connection.scalars(sa.text("SELECT flags & 8 FROM vote ORDER BY vote_id")).all()
    assert leaks == [0, 8]
    assert b"Saturn" not in store.read_bytes()
