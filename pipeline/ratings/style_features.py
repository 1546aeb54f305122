"""Names the counts of an answer from which style is controlled."""

STYLE_FEATURES = ("tokens", "headers", "lists", "bold", "emoji")
