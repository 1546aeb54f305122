"""Contains simulators, benchmarks and the red team. Modules that run in production do not import this package.

simulate  simulates votes, windows and voters
bench     measures speed and accuracy, for the commands `integrity bench …`
drill     sends a simulated campaign, and times how soon the pipeline excludes the votes, for `integrity drill`
redteam   runs known attacks against the detectors, for the command `integrity redteam`
"""
