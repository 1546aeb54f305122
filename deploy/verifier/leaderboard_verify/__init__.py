"""The offline verifier of leaderboard bundles; its code is that of the project, included when the wheel is built."""
