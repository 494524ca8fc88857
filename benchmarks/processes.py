"""Processes for trainings that run at the same time."""

import concurrent.futures
import multiprocessing


def new_process_each(jobs: int) -> concurrent.futures.ProcessPoolExecutor:
    """Return a pool that starts a new process for each call, at most `jobs` at once."""
    spawn = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(jobs, spawn, max_tasks_per_child=1)
