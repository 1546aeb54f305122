"""Says what a billion votes would cost: measures the stages of the pipeline, extrapolates, and simulates many workers.

stage_costs   measures processor time, memory and bytes of each stage, with boards of several sizes
cost_slopes   computes the cost of one more million votes, and extrapolates it to a large board
worker_fleet  simulates many workers that read many partitions: a burst of votes, workers that leave and come back
"""
