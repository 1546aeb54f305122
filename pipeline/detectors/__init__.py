"""One detector a file; detectors are strangers to each other.

A new detector is one file here and one line below; the law suite then tests it by itself.
"""

from pipeline.detectors.voter.duplicate_votes import DuplicateVotes
from pipeline.detectors.voter.voter_bias.detector import VoterBias
from pipeline.detectors.voter.voter_rate import VoterRate
from pipeline.detectors.window.cohort_bias import CohortBias
from pipeline.detectors.window.sampling_skew import SamplingSkew
from pipeline.detectors.window.silent_deprecation import SilentDeprecation
from pipeline.detectors.window.traffic import Traffic, TrafficGap
from pipeline.detectors.window.unknown_model import UnknownModel
from pipeline.detectors.window.vote_burst import VoteBurst
from pipeline.scoring.detector_contracts import VoterDetector, WindowDetector

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
