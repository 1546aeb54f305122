"""The peers' tasks: scripts for the peers' own environment, which import nothing of the project.

timed_task        times the calls of a task and prints the result
arena_rank_tasks  the tasks with arena-rank
evalica_tasks     the tasks with evalica
"""
