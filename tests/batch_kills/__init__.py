"""Batches under workers that are killed at every step and at random: nothing lost, nothing twice.

`worker.py` is the real worker's door in processes that end themselves at a step they are told;
`driver.py` plays the queue, the sweeper's schedule and the one who kills, and judges the end.
"""
