"""One detector a file; detectors are strangers to each other.

A new detector is one file here and one line below; the law suite then tests it by itself.
"""

from pipeline.alerts import VoterDetector, WindowDetector
from pipeline.detectors.cohort_bias import CohortBias
from pipeline.detectors.duplicate_votes import DuplicateVotes
from pipeline.detectors.sampling_skew import SamplingSkew
from pipeline.detectors.silent_deprecation import SilentDeprecation
from pipeline.detectors.traffic import Traffic, TrafficGap
from pipeline.detectors.unknown_model import UnknownModel
from pipeline.detectors.vote_burst import VoteBurst
from pipeline.detectors.voter_bias import VoterBias
from pipeline.detectors.voter_rate import VoterRate

VOTER: tuple[VoterDetector, ...] = (VoterBias(), VoterRate(), DuplicateVotes())
"""Evidence about one voter: run by the worker, local to a partition."""

WINDOW: tuple[WindowDetector, ...] = (
    VoteBurst(),
    Traffic(),
    TrafficGap(),
    CohortBias(),
    SamplingSkew(),
    SilentDeprecation(),
    UnknownModel(),
)
"""Evidence about models, providers, networks and the board: run by the monitor over merged windows."""

__all__ = [
    "VOTER",
    "WINDOW",
    "CohortBias",
    "DuplicateVotes",
    "SamplingSkew",
    "SilentDeprecation",
    "Traffic",
    "TrafficGap",
    "UnknownModel",
    "VoteBurst",
    "VoterBias",
    "VoterRate",
]
