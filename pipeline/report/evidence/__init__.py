"""Looks for manipulation in the votes of a file: by single voters, by cohorts, in bursts, and in how models were shown.

find_evidence      runs all tests that a file allows
evidence_tests     declares the tests: what each asks, and how often it errs
evidence_section   represents the result of a test, and its findings
backlog_evidence   evaluates voters, groups and cohorts as an imported backlog is evaluated
voter_findings     words the findings about voters who click at random or have a habit; keeps those that e-BH keeps
week_evidence      states in which weeks a model won more, or answered in another style, than in its other weeks
voter_timing       finds voters faster than anybody reads, and voters in lockstep
share_bursts       finds hours and days in which a model gets a multiple of its share of the votes
sampling_facts     checks the sides on which models were shown, and states how votes spread
discoveries        limits the share of false findings among many subjects
random_labels      gives random labels to voters, prompts, networks and sessions
"""

from pipeline.report.evidence.evidence_section import EvidenceFinding, EvidenceSection
from pipeline.report.evidence.find_evidence import find_evidence

__all__ = ["EvidenceFinding", "EvidenceSection", "find_evidence"]
