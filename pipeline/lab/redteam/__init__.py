"""The pipeline against attackers whose every vote is known.

scenarios.py   what is planted: the attacks of the literature, over streams from the real pair counts
trial.py       one stream through the detectors, in memory: what was found, when, and what the board lost
sampling.py    the same for a board that is not sampled as it declares
audited.py     variants, fairness and claims: what the slow audits must say; tuned.py: a tuned variant's board
baselines.py   what others do, written from their formulas, over the same votes
peers.py       both over voters of a hundred votes, where all flag as many of the honest
report.py      the table

Laws: the same seed gives the same table; a scenario that must not fire says so; what falls short is shown as that.
"""
