"""Contains scripts that run rating tasks with the peers, which are other packages that compute ratings.

The scripts run in an environment with the peers' packages and without this project, which they must not import.

timed_task        times the calls of a task and prints the result
arena_rank_tasks  runs the tasks with arena-rank
evalica_tasks     runs the tasks with evalica
arenakit_tasks    runs the audit of arenakit, which is compared with the probes of a report
"""
