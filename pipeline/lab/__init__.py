"""Simulators, benchmarks and the red team. Modules that run in production do not import this package.

simulate  simulates votes, windows and voters
bench     benchmarks, for the commands `integrity bench …`
redteam   known attacks against the detectors, for the command `integrity redteam`
"""
