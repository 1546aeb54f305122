"""Contains simulators, benchmarks, the drill and the red team. No module that runs in production imports this package.

simulate  simulates voters, their votes, and windows of votes
scale     says what a billion votes would cost, for `integrity bench scale`
bench     measures speed and accuracy, for the commands `integrity bench …`
drill     sends a simulated campaign of votes, and times how soon the pipeline excludes them, for `integrity drill`
redteam   runs known attacks against the detectors, for the command `integrity redteam`
"""
