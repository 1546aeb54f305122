"""Reads, rates and reports votes in a notebook. The functions do what the command line does, also for data frames.

    import leaderboard_integrity as li

    report = li.report("votes.parquet")  # or a pandas, polars or Arrow table
    report.plot()

read    reads votes, and says which records were left out and why
rate    rates the models of some votes, as `integrity rate` does
report  says whether a board of some votes can be trusted, and why, as `integrity report` does
board   reads a published board from a store, as `integrity leaderboard` does

All errors are subclasses of `IntegrityError`. `BadInput` says what is wrong with the votes, `RatingError` why they
cannot be rated. Results show themselves in a notebook, and have `to_pandas()`, `to_arrow()` and `plot()`. Modules:

    votes          reads votes
    ratings        rates votes
    vote_report    says whether the board of some votes can be trusted
    store_board    reads a published board
    result_table   converts results to tables of pandas or Arrow, and to HTML
    charts         draws results with Altair
    html_text      writes text and tables from votes as HTML
    vote_sources   converts the argument of a caller to files
    memory_tables  writes tables in memory to files
    call_words     converts messages that name options of commands to messages that name arguments of functions
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
