"""FastChat's raw log: votes by their type, anonymous by the names that were shown."""

import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.events import decode_votes
from pipeline.formats import ColumnMapping, read_records
from pipeline.formats.battle_file import open_battles
from pipeline.formats.battle_tables import read_battles
from pipeline.formats.left_out import LeftOut
from pipeline.formats.line_events import LineEvents
from pipeline.formats.vote_ids import VoteIds


def action(kind: str, n: int, shown: tuple[str, str] = ("", ""), turns: int = 1) -> dict[str, Any]:
    states = [
        {
            "model_name": name,
            "conv_id": f"c{n}{side}",
            "messages": [["user", "hi\nthere"], ["assistant", "yes"]] * turns,
            "offset": 0,
        }
        for side, name in (("a", "ant"), ("b", "bee"))
    ]
    return {"tstamp": 1.7e9 + n, "type": kind, "models": list(shown), "states": states, "ip": "198.51.100.7"}


ACTIONS = [
    action("leftvote", 0),
    action("chat", 1),
    action("rightvote", 2, ("Model A", "Model B")),
    action("tievote", 3, ("<h3>Model A: ant</h3>", "### Model B: bee")),
    action("bothbad_vote", 4, turns=3),
    action("upvote", 5),
]


def write(path: Path, actions: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in actions))
    return path


def test_four_types_of_action_are_votes(tmp_path: Path) -> None:
    path, left_out = write(tmp_path / "2024-05-06-conv.json", ACTIONS), LeftOut()
    found = read_battles(open_battles(path), left_out=left_out)
    assert found.outcome.tolist() == [0, 1, 2, 3]
    assert found.models == ("ant", "bee")
    assert found.voters == ("arena_user_198.51.100.7",)
    assert found.flags["anonymous"].tolist() == [1, 1, 0, 1]
    assert left_out.counts == {"no_vote": 2}
    assert left_out.first["no_vote"][0] == 1
    votes, _, rejects = decode_votes(list(read_records(path)))
    assert not rejects
    assert len({vote.vote_id for vote in votes}) == 4


def test_ids_are_keyed_hashes_of_what_the_log_identifies_a_vote_by(tmp_path: Path) -> None:
    path = write(tmp_path / "2024-05-06-conv.json", [*ACTIONS, ACTIONS[0]])

    def ids(key: bytes | None) -> list[str]:
        return [vote.vote_id for vote in decode_votes(list(read_records(path, ColumnMapping(id_key=key))))[0]]

    keyed = ids(b"k" * 32)
    expected = hmac.digest(b"k" * 32, b"vote\0c0a#1", "sha256").hex()
    assert (keyed[0], keyed[4], len(set(keyed))) == (expected, expected, 4)
    assert set(keyed).isdisjoint(ids(b"l" * 32))
    assert len(set(ids(b""))) == 5  # from the content: the record that is there twice is two votes
    assert ids(None) == ["c0a#1", "c2a#1", "c3a#1", "c4a#3", "c0a#1"]
    raw = b"".join(read_records(path, ColumnMapping(id_key=b"k" * 32)))
    assert b"#1" not in raw
    found = read_battles(open_battles(path))
    assert (len(found), found.repeated) == (4, 1)


@pytest.mark.parametrize("shown", [("ant", "cat"), ("bee", "ant")])
def test_names_shown_that_are_not_those_of_the_states_are_rejected(tmp_path: Path, shown: tuple[str, str]) -> None:
    path = write(tmp_path / "log.json", [action("leftvote", 0, shown)])
    _, _, rejects = decode_votes(list(read_records(path)))
    assert [reject.reason for reject in rejects] == ["unknown_outcome"]
    assert "names shown" in rejects[0].detail


@pytest.mark.parametrize("models", [5, True, 1.5, "ant", {"a": "ant"}, [5], [None, "bee"]])
def test_names_shown_in_another_form_reject_their_record_alone(tmp_path: Path, models: object) -> None:
    actions = [{**action("leftvote", 0), "models": models}, action("rightvote", 1)]
    path = write(tmp_path / "log.json", actions)
    votes, _, rejects = decode_votes(list(read_records(path)))
    assert [vote.session for vote in votes] == ["c1a"]
    assert [reject.reason for reject in rejects] == ["unknown_outcome"]
    lines = [LineEvents().event(json.dumps(one).encode(), VoteIds()) for one in actions]
    assert lines == list(read_records(path))


@pytest.mark.parametrize("models", [None, [], ""])
def test_a_log_without_names_shown_does_not_say_whether_a_vote_is_anonymous(tmp_path: Path, models: object) -> None:
    path = write(tmp_path / "log.json", [{**action("leftvote", 0), "models": models}])
    votes, _, rejects = decode_votes(list(read_records(path)))
    assert (votes[0].anonymous, rejects) == (None, [])
