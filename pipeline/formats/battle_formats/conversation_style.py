"""Declares where the arena's preference sets have style counts (numbers of tokens, headers, lists and bold passages).

The column `conv_metadata` has the counts for the answers of both models.
"""

from collections.abc import Mapping

from pipeline.formats.battle_format import Flag, ValueSource, at

CONV_METADATA: Mapping[str, Mapping[str, ValueSource]] = {
    side: {
        "tokens": at("conv_metadata", f"sum_assistant_{side}_tokens"),
        "headers": at("conv_metadata", f"header_count_{side}"),
        "lists": at("conv_metadata", f"list_count_{side}"),
        "bold": at("conv_metadata", f"bold_count_{side}"),
    }
    for side in ("a", "b")
}
"""Side → our style feature → its source. Headers, lists and bold are maps of counts; emoji are not counted."""

CATEGORY_TAGS: tuple[ValueSource, ...] = (at("category_tag"),)
"""Source of the categories: an object with a field for each classifier. The value of a field maps each label of the
classifier to true or false. Other values, such as scores, are no categories."""

DEDUPLICATED = Flag(at("dedup_tag", "high_freq"), unless=at("dedup_tag", "sampled"))
"""The flag `deduplicated`: true for a vote on a frequent prompt, unless the publisher drew the vote into its sample."""
