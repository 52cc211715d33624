"""Where work is done that is in independent pieces: in processes of their own, on every core."""

from contextlib import contextmanager

import joblib


@contextmanager
def workers(n_tasks, shared):
    """A `joblib.Parallel` that gives the results of n tasks as they come.

    shared : the arguments, by identity, that many tasks are handed and that are worth sending once
    """
    n_jobs = max(2, min(n_tasks, joblib.cpu_count()))  # joblib takes 1 for "in this process"
    yield joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")
