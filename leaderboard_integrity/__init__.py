"""Reads, rates and reports votes in a notebook: the functions of the command line for data frames and files.

    import leaderboard_integrity as li

    report = li.report("votes.parquet")  # or a pandas, polars or Arrow table
    report.plot()

read    reads votes, and says what was left out and why
rate    rates the models of some votes, as `integrity rate` does
report  says whether a board of the votes can be trusted, and why, as `integrity report` does
board   reads a published board from a store, as `integrity leaderboard` does

Errors are `IntegrityError`: `BadInput` for what is wrong with the votes, `RatingError` for votes without a rating.
Results show themselves in a notebook, and have `to_pandas()`, `to_arrow()` and `plot()`. Modules:

    votes          reads votes
    ratings        rates votes
    vote_report    reports votes
    store_board    reads a published board
    result_table   shows a result as a table of pandas or Arrow, and as HTML
    charts         draws results with Altair
    html_text      writes foreign text and tables as HTML
    vote_sources   turns what a caller passes into files
    memory_tables  writes tables in memory as files
    call_words     says in messages what to pass to a function instead of to a command
"""

from leaderboard_integrity.charts import MissingExtra
from leaderboard_integrity.ratings import GroupBoard, Ratings, rate
from leaderboard_integrity.store_board import StoreBoard, board
from leaderboard_integrity.vote_report import VoteReport, report
from leaderboard_integrity.votes import Votes, read
from pipeline.errors import BadInput, IntegrityError, RatingError

__all__ = [
    "BadInput",
    "GroupBoard",
    "IntegrityError",
    "MissingExtra",
    "RatingError",
    "Ratings",
    "StoreBoard",
    "VoteReport",
    "Votes",
    "board",
    "rate",
    "read",
    "report",
]
