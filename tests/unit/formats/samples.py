"""Rows of each public battle format, made here: the schemas are facts, the rows are ours."""

import random
from typing import Any

Row = dict[str, Any]
MODELS = ["ant", "bee", "cat [int4]", "dog", "elk"]
OUTCOMES = ["model_a", "model_b", "tie", "both_bad"]
LANGUAGES = ["English", "German", "French", "unknown"]


def battles(count: int, seed: int = 0) -> list[Row]:
    """Votes in our own terms: what each file below must give again."""
    draw = random.Random(seed)  # noqa: S311
    rows: list[Row] = []
    for i in range(count):
        a, b = draw.sample(MODELS, 2)
        rows.append(
            {
                "n": i,
                "model_a": a,
                "model_b": b,
                "winner": draw.choice(OUTCOMES),
                "voter": f"v{draw.randrange(40)}",
                "language": draw.choice(LANGUAGES),
                "anonymous": draw.random() < 0.8,
                "refusal": draw.random() < 0.05,
                "code": draw.random() < 0.3,
                "frequent": draw.random() < 0.2,
                "sampled": draw.random() < 0.3,
                "turn": draw.randrange(1, 5),
                "math": draw.random() < 0.2,
                "creative": draw.random() < 0.4,
                "time": 1_707_700_514.25 + 37 * i,
                "style": {f"{f}_{s}": draw.randrange(1, 500) for f in ("tokens", "headers", "lists") for s in "ab"},
                "text": [{"role": "user", "content": f"line one\nline two {i}"}],
            }
        )
    return rows


def spelled(row: Row, bad: str = "tie (bothbad)") -> str:
    return bad if row["winner"] == "both_bad" else str(row["winner"])


def conv_metadata(row: Row) -> Row:
    style = row["style"]
    result: Row = {}
    for side in "ab":
        result[f"sum_assistant_{side}_tokens"] = style[f"tokens_{side}"]
        result[f"header_count_{side}"] = {"h1": 1, "h2": style[f"headers_{side}"] - 1, "h3": 0}
        result[f"list_count_{side}"] = {"ordered": style[f"lists_{side}"], "unordered": 0}
        result[f"bold_count_{side}"] = {"**": 2, "__": 1}
    return result


def fastchat(row: Row) -> Row:
    return {
        "question_id": f"q{row['n']}", "model_a": row["model_a"], "model_b": row["model_b"], "winner": spelled(row),
        "judge": f"arena_user_{row['voter']}", "anony": row["anonymous"], "language": row["language"],
        "tstamp": row["time"], "turn": row["turn"], "conversation_a": row["text"], "conversation_b": row["text"],
    }  # fmt: skip


def preference_55k(row: Row) -> Row:
    return {
        "id": row["n"], "model_a": row["model_a"], "model_b": row["model_b"], "prompt": '["a\nb"]',
        "response_a": '["x"]', "response_b": '["y"]', "winner_model_a": int(row["winner"] == "model_a"),
        "winner_model_b": int(row["winner"] == "model_b"), "winner_tie": int(row["winner"] in ("tie", "both_bad")),
    }  # fmt: skip


def preference_100k(row: Row) -> Row:
    base = {key: value for key, value in fastchat(row).items() if key != "judge"}
    return {
        **base, "conv_metadata": conv_metadata(row), "is_code": row["code"], "is_refusal": row["refusal"],
        "dedup_tag": {"high_freq": row["frequent"], "sampled": row["sampled"]},
        "category_tag": {
            "criteria_v0.1": {"complexity": row["creative"], "specificity": False},
            "math_v0.1": {"math": row["math"]}, "if_v0.1": {"if": False, "score": 4},
        },
        "judge_hash": row["voter"],
    }  # fmt: skip


def preference_140k(row: Row) -> Row:
    return {
        "id": f"i{row['n']}", "model_a": row["model_a"], "model_b": row["model_b"],
        "winner": spelled(row, "both_bad"), "evaluation_session_id": row["voter"], "evaluation_order": row["turn"],
        "conversation_a": row["text"], "conversation_b": row["text"], "full_conversation": row["text"],
        "conv_metadata": conv_metadata(row),
        "category_tag": {
            "creative_writing_v0.1": {"creative_writing": row["creative"], "score": "yes"},
            "math_v0.1": {"math": row["math"]},
        },
        "language": row["language"], "is_code": row["code"], "timestamp": row["time"],
    }  # fmt: skip


def expert_5k(row: Row) -> Row:
    return {
        "id": f"i{row['n']}", "model_a": row["model_a"], "model_b": row["model_b"],
        "winner": spelled(row, "both_bad"), "conversation_a": row["text"], "conversation_b": row["text"],
        "full_conversation": row["text"], "language": row["language"], "evaluation_order": row["turn"],
        "occupational_tags": {"Mathematical": row["math"], "Writing": row["creative"], "Legal": False},
    }  # fmt: skip


def search_arena(row: Row) -> Row:
    return {
        "model_a": row["model_a"], "model_b": row["model_b"], "winner": spelled(row), "judge": row["voter"],
        "timestamp": row["time"], "turn": row["turn"], "primary_intent": "Factual" if row["math"] else "Other",
        "languages": [row["language"], "Latin"], "system_a_metadata": {"x": 1}, "system_b_metadata": {"x": 2},
    }  # fmt: skip


def comparia(row: Row) -> Row:
    won = {"model_a": row["model_a"], "model_b": row["model_b"]}.get(row["winner"])
    return {
        "id": row["n"], "timestamp": row["time"], "model_a_name": row["model_a"], "model_b_name": row["model_b"],
        "chosen_model_name": won, "both_equal": won is None, "conversation_pair_id": f"c{row['n']}",
        "session_hash": f"s{row['voter']}", "visitor_id": row["voter"], "conv_turns": row["turn"],
        "selected_category": "maths" if row["math"] else None, "is_unedited_prompt": True, "country_portal": "fr",
        "conv_useful_a": row["math"],
    }  # fmt: skip


def mt_bench(row: Row) -> Row:
    return {
        "question_id": 81 + row["n"] % 7, "model_a": row["model_a"], "model_b": row["model_b"],
        "winner": spelled(row, "tie"), "judge": row["voter"], "turn": row["turn"], "conversation_a": row["text"],
    }  # fmt: skip


def fastchat_log(row: Row) -> Row:
    """A vote in the raw log; votes cast with the names in view show them."""
    types = {"model_a": "leftvote", "model_b": "rightvote", "tie": "tievote", "both_bad": "bothbad_vote"}
    turns = [["user", "hello"], ["assistant", "hi"]] * row["turn"]
    names = [row["model_a"], row["model_b"]]
    shown = [f"<h3>Model {side}: {name}</h3>" for side, name in zip("AB", names, strict=True)]
    return {
        "tstamp": row["time"], "type": types[row["winner"]],
        "models": ["", ""] if row["anonymous"] else shown,
        "states": [
            {"model_name": name, "conv_id": f"c{row['n']}{side}", "messages": [["system", "x"], *turns], "offset": 1}
            for side, name in zip("ab", names, strict=True)
        ],
        "ip": f"203.0.113.{row['voter'][1:]}",
    }  # fmt: skip


def own_event(row: Row, form: str) -> Row:
    """The same vote in our own format, with what a public format says of it."""
    winner = "tie" if form in ONE_TIE and row["winner"] == "both_bad" else row["winner"]
    event: Row = {
        "schema": 1, "vote_id": f"n{row['n']}", "cast_at": "2024-02-12T01:15:14Z", "model_a": row["model_a"],
        "model_b": row["model_b"], "winner": winner, "voter_id": row["voter"],
    }  # fmt: skip
    if form in ANONYMITY:
        event["anonymous"] = row["anonymous"]
    if form == "arena-human-preference-100k":
        event |= {"refusal": row["refusal"], "deduplicated": row["frequent"] and not row["sampled"]}
    if form in STYLED:
        for side in "ab":
            counts = {feature: row["style"][f"{feature}_{side}"] for feature in ("tokens", "headers", "lists")}
            event[f"style_{side}"] = {**counts, "bold": 3, "emoji": 0}
    return event


FORMATS = {
    "FastChat log": fastchat_log,
    "FastChat battles": fastchat,
    "arena-human-preference-55k": preference_55k,
    "arena-human-preference-100k": preference_100k,
    "arena-human-preference-140k": preference_140k,
    "arena-expert-5k": expert_5k,
    "search-arena-24k": search_arena,
    "compar:IA votes": comparia,
    "MT-bench human judgments": mt_bench,
}
STYLED = {"arena-human-preference-100k", "arena-human-preference-140k"}
ANONYMITY = {"FastChat battles", "FastChat log", "arena-human-preference-100k"}
# Formats that cannot tell two kinds of ties apart.
ONE_TIE = {"arena-human-preference-55k", "compar:IA votes", "MT-bench human judgments"}
