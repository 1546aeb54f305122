"""Contains scripts that run tasks with the peers, in the peers' environment. They do not import this project.

timed_task        times the calls of a task and prints the result
arena_rank_tasks  runs the tasks with arena-rank
evalica_tasks     runs the tasks with evalica
"""
