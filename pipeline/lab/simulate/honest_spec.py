"""Holds the parameters of a simulated stream of honest votes."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.errors import Usage
from pipeline.lab.simulate.pair_rates import real_pair_rates
from pipeline.lab.simulate.voter_population import VOTES_PER_VOTER


@dataclass(frozen=True, slots=True)
class HonestSpec:
    """The parameters of a stream of honest votes.

    Attributes:
        votes: number of votes.
        seed: seed of the simulation; the same seed gives the same votes.
        voters: number of voters, each with at least one vote; None for votes / 3.65, as on the real board.
        days: length of the stream in days.
        start: time of the first hour, with a time zone; the default is a Monday.
        taste_sd: standard deviation of a voter's taste for a model, in logits.
        tie_sd: standard deviation of the voters' tendency to tie, in logits.
        models: number of models on the board, which are those with the most battles. None for all 129.
        burstiness: variance of a random factor in the rate of each hour, whose mean is 1. With 0, the counts are
            Poisson.

    Raises:
        Usage: a value is out of range.
    """

    votes: int
    seed: int
    voters: int | None = None
    days: float = 30.0
    start: datetime = datetime(2024, 7, 1, tzinfo=UTC)
    taste_sd: float = 0.5
    tie_sd: float = 0.5
    models: int | None = None
    burstiness: float = 0.1

    def __post_init__(self) -> None:
        if self.votes < 1:
            raise Usage(f"expected at least one vote, got {self.votes}")
        if self.seed < 0:
            raise Usage(f"expected a seed of at least 0, got {self.seed}")
        if not 1 <= self.voter_count <= self.votes:
            raise Usage(f"expected between 1 and {self.votes} voters (one vote each), got {self.voters}")
        if not 0 < self.days < float("inf"):
            raise Usage(f"expected days above 0, got {self.days}")
        if self.start.tzinfo is None:
            raise Usage(f"expected a start with a time zone, got {self.start.isoformat()}")
        for name in ("taste_sd", "tie_sd", "burstiness"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise Usage(f"expected {name} of at least 0, got {getattr(self, name)}")
        real_pair_rates(self.models)

    @property
    def voter_count(self) -> int:
        """The number of honest voters. Their codes are the numbers from 0 to voter_count − 1."""
        return max(1, round(self.votes / VOTES_PER_VOTER)) if self.voters is None else self.voters
