"""Rates the boards by category and language of a candidate. A label is a category or a language.

A candidate is a snapshot before its publication.

A board is left out if it cannot be rated or has fewer votes than the method requires. The reason is published, and the
views are published without the board. At most MAX_BOARDS boards are rated, those with the most votes.
"""

from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import RatingError
from pipeline.jobs.refresh.board_rows import board_rows, fit_summary, rate_view
from pipeline.jobs.refresh.rating_input import RatingInput
from pipeline.ledger.manifest_claims import MAX_BOARDS
from pipeline.ratings import PairCounts
from pipeline.ratings.method import Method
from pipeline.settings import Settings

# Boards that a snapshot names among those left out.
_NAMED = 200


@dataclass(slots=True)
class LabelBoards:
    """The boards by category and language of a candidate.

    Attributes:
        summaries: name of a board → the fields that describe its fit in the body of the snapshot (`fit_summary`).
        rows: name of a board → its rows.
        left_out: name of a board that was left out → the reason.
    """

    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def stated(self) -> dict[str, Any]:
        """Return the fields about these boards for the body of a snapshot.

        Of the boards that were left out, all are counted and at most 200 are named. The result is {} if no board was
        rated or left out.
        """
        if not self.summaries and not self.left_out:
            return {}
        named = dict(sorted(self.left_out.items())[:_NAMED])
        return {"boards": self.summaries, "boards_left_out": named, "boards_left_out_number": len(self.left_out)}


def rate_label_boards(given: RatingInput, method: Method, options: Settings) -> LabelBoards:
    """Rate the boards by category and language.

    Args:
        given: the input of the rating.
        method: the method, which states how many votes a board needs.
        options: the settings.

    Returns:
        The boards that were rated, and for each other board the reason why it was left out.
    """
    found, least = LabelBoards(), method.least_board_votes
    for name, votes in given.small_boards.items():
        found.left_out[name] = _too_few(votes, least)
    boards = {name: given.board(name) for name in given.boards}
    for place, name in enumerate(sorted(boards, key=lambda name: (-boards[name].total, name))):
        votes = boards[name].total
        if votes < max(1, least):
            found.left_out[name] = _too_few(votes, least)
        elif place >= MAX_BOARDS:
            found.left_out[name] = f"{votes:,} votes: a snapshot has at most {MAX_BOARDS} boards, the largest"
        else:
            _rate(name, given, options, found)
    return found


def board_counts(given: RatingInput, name: str) -> PairCounts:
    """Return the pair counts of a board by category or language.

    Models without votes and unregistered models are left out.
    """
    return given.boards[name].without_empty_models().without_models(given.waiting[name])


def _too_few(votes: int, least: int) -> str:
    return f"{votes:,} {'vote' if votes == 1 else 'votes'}: the method asks for {max(1, least):,}"


def _rate(name: str, given: RatingInput, options: Settings, found: LabelBoards) -> None:
    counts = board_counts(given, name)
    try:
        board = rate_view(counts, options, given.waiting[name])
    except RatingError as error:
        found.left_out[name] = str(error)
        return
    found.summaries[name], found.rows[name] = fit_summary(board, counts), board_rows(board)
