"""Names the four outcomes of a battle as votes state them, and their codes."""

from typing import Literal, get_args

Outcome = Literal["model_a", "model_b", "tie", "both_bad"]

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""All outcomes. The code of an outcome is its position here, from 0 to 3."""

OUTCOME_CODES: dict[str, int] = {name: code for code, name in enumerate(OUTCOMES)}
