"""The peers' side of each task: scripts for an environment of their own, which import nothing of ours."""
