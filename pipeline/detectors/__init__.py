"""Defines and lists the detectors. A detector is a module or a package, and imports no other detector.

voter    detectors about one voter, which process vote after vote
window   detectors about models, providers, networks, new accounts and the board, which process window after window

To add a detector, add its module to one of the two packages and an entry to VOTER or WINDOW below. The tests of the
detector laws then include it.
"""

from pipeline.detectors.voter.duplicate_votes import DuplicateVotes
from pipeline.detectors.voter.voter_bias.detector import VoterBias
from pipeline.detectors.voter.voter_rate import VoterRate
from pipeline.detectors.window.cohort_bias import CohortBias
from pipeline.detectors.window.model_shift import ModelShift
from pipeline.detectors.window.sampling_skew import SamplingSkew
from pipeline.detectors.window.silent_deprecation import SilentDeprecation
from pipeline.detectors.window.traffic import Traffic, TrafficGap
from pipeline.detectors.window.unknown_model import UnknownModel
from pipeline.detectors.window.vote_burst import VoteBurst
from pipeline.scoring.detector_contracts import VoterDetector, WindowDetector

VOTER: tuple[VoterDetector, ...] = (VoterBias(), VoterRate(), DuplicateVotes())
"""The voter detectors, which the worker runs on the votes of each partition."""

WINDOW: tuple[WindowDetector, ...] = (
    VoteBurst(),
    Traffic(),
    TrafficGap(),
    CohortBias(),
    ModelShift(),
    SamplingSkew(),
    SilentDeprecation(),
    UnknownModel(),
)
"""The window detectors, which the monitor runs on windows that contain the votes of all partitions."""

__all__ = [
    "VOTER",
    "WINDOW",
    "CohortBias",
    "DuplicateVotes",
    "ModelShift",
    "SamplingSkew",
    "SilentDeprecation",
    "Traffic",
    "TrafficGap",
    "UnknownModel",
    "VoteBurst",
    "VoterBias",
    "VoterRate",
]
