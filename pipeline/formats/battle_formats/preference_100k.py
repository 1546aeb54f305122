"""Declares the format of arena-human-preference-100k: FastChat battles with style counts, tags and hashes of voters.

Of the votes on a frequent prompt, the publisher's boards count only a sample. The flag `deduplicated` is true for the
votes on frequent prompts that are not in the sample.
"""

from pipeline.formats.battle_format import BattleFormat, Flag, SpelledOutcome, at, has
from pipeline.formats.battle_formats.conversation_style import CATEGORY_TAGS, CONV_METADATA, DEDUPLICATED

FORMAT = BattleFormat(
    name="arena-human-preference-100k",
    matches=has("model_a", "model_b", "winner", "judge_hash"),
    model_a=at("model_a"),
    model_b=at("model_b"),
    outcome=SpelledOutcome("winner"),
    texts={"vote_id": at("question_id"), "voter_id": at("judge_hash"), "language": at("language")},
    times={"cast_at": at("tstamp")},
    flags={
        "anonymous": Flag(at("anony")),
        "refusal": Flag(at("is_refusal")),
        "code": Flag(at("is_code")),
        "deduplicated": DEDUPLICATED,
    },
    style=CONV_METADATA,
    turn=at("turn"),
    labels=CATEGORY_TAGS,
    true_labels={"code": at("is_code")},
)
