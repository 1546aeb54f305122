"""Names the style features: the counts of an answer's tokens, headers, lists, bold words and emoji.

Style control adjusts ratings for these counts.
"""

STYLE_FEATURES = ("tokens", "headers", "lists", "bold", "emoji")
