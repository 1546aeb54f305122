"""The detectors, one module or package each; no detector imports another.

voter    about one voter, vote by vote
window   about models, providers, networks, new accounts and the board, window by window

To add a detector, add its module here and an entry to VOTER or WINDOW below; the law suite then tests the detector.
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
"""Voter detectors: the worker runs them on each partition."""

WINDOW: tuple[WindowDetector, ...] = (
    VoteBurst(),
    Traffic(),
    TrafficGap(),
    CohortBias(),
    SamplingSkew(),
    SilentDeprecation(),
    UnknownModel(),
)
"""Window detectors: the monitor runs them over merged windows."""

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
