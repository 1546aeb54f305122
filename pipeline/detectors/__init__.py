"""One detector a file; detectors are strangers to each other.

A new detector is one file here and one line below; the law suite then tests it by itself.
"""

from pipeline.alerts import VoterDetector
from pipeline.detectors.voter_bias import VoterBias

VOTER: tuple[VoterDetector, ...] = (VoterBias(),)
"""Evidence about one voter: run by the worker, local to a partition."""

__all__ = ["VOTER", "VoterBias"]
