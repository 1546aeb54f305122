"""Simulators, benchmarks and the red team; the product imports none of them.

simulate  simulated votes, windows and voters
bench     benchmarks: the commands `integrity bench …`
redteam   known attacks against the detectors: the command `integrity redteam`
"""
