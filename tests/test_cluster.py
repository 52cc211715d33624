"""A cluster of processes on this machine: it gives what one process gives, and loses nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import psutil
import pytest
from command import wait_until
from how_often import times
from tiny import TINY, few_digits, leave_mark

from digitlib import workers as workers_module
from digitlib.training import train_many
from digitlib.workers import workers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills processes")


def start(*arguments, **environment):
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """The address of a scheduler that gives a task up when two workers have died of it."""
    contact = tmp_path_factory.mktemp("scheduler") / "contact.json"
    arguments = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file")
    allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    process = start("scheduler", *arguments, str(contact), **allowed)

    def is_written():
        assert process.poll() is None
        return contact.exists() and contact.read_text(encoding="utf-8").endswith("}")

    wait_until(is_written)
    yield json.loads(contact.read_text(encoding="utf-8"))["address"]
    process.terminate()
    process.wait()


@pytest.fixture
def start_worker(scheduler, tmp_path, monkeypatch):
    """Starts a worker of the cluster that is in use during the test."""
    monkeypatch.setenv("DIGITLIB_CLUSTER", scheduler)
    monkeypatch.setattr(workers_module, "CLUSTER_TIMEOUT", 60)
    started = []

    def start_worker():
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory")
        started.append(start("worker", scheduler, *options, tmp_path, TINY_MARKS=str(tmp_path)))
        return started[-1]

    yield start_worker
    for process in started:
        process.kill()
        process.wait()


def marks(folder):
    return list(folder.glob("mark-*"))


def test_what_a_killed_worker_was_at_is_done_again_and_equal(start_worker, tmp_path, monkeypatch):
    recipe, seeds = replace(TINY, epochs=30, augment=leave_mark), [0, 1]
    start_worker()
    start_worker()
    monkeypatch.setenv("DIGITLIB_CACHE", str(tmp_path / "cluster"))
    with ThreadPoolExecutor() as thread:
        done = thread.submit(train_many, [recipe], few_digits(), seeds)

        def one_has_begun():
            assert not done.done(), done.result()
            return marks(tmp_path)

        wait_until(one_has_begun)
        os.kill(int(marks(tmp_path)[0].name.split("-")[1]), signal.SIGKILL)
        runs = done.result()
    assert len(marks(tmp_path)) == 3
    monkeypatch.delenv("DIGITLIB_CLUSTER")
    monkeypatch.setenv("DIGITLIB_CACHE", str(tmp_path / "here"))
    for run, expected in zip(runs, train_many([recipe], few_digits(), seeds), strict=True):
        assert run.path.name == expected.path.name
        assert np.array_equal(run.y_prob, expected.y_prob)
        assert run.history.loss.tolist() == expected.history.loss.tolist()


def test_workers_killed_at_random_moments_change_no_run(start_worker, tmp_path, monkeypatch):
    recipe, few, rng = replace(TINY, epochs=30), few_digits(), np.random.default_rng(0)

    def train_in(cache):
        monkeypatch.setenv("DIGITLIB_CACHE", str(tmp_path / cache))
        begin = time.perf_counter()
        runs = train_many([recipe], few, range(4))
        return [run.y_prob.tobytes() for run in runs], time.perf_counter() - begin

    pair = [start_worker(), start_worker()]
    expected, seconds = train_in("undisturbed")
    for n in range(times(1, 10)):
        by = ("kill", "terminate")[n % 2]
        threading.Timer(rng.uniform(0, seconds), getattr(pair[n % 2], by)).start()
        assert train_in(f"{n}")[0] == expected
        pair[n % 2].wait()
        pair[n % 2] = start_worker()


def do(function):
    with workers(1, shared=[]) as parallel:
        return list(parallel([joblib.delayed(function)()]))


def test_task_that_kills_its_workers_is_given_up(start_worker):
    start_worker()
    start_worker()
    with pytest.raises(RuntimeError, match=r"gave up.* those workers died"):
        do(lambda: os.kill(os.getppid(), signal.SIGKILL))


def test_task_ends_with_its_worker(start_worker, tmp_path):
    def outlive_the_worker():
        (tmp_path / f"{os.getpid()}").touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)

    start_worker()
    start_worker()
    with pytest.raises(RuntimeError, match=r"gave up"):
        do(outlive_the_worker)
    wait_until(
        lambda: not any(psutil.pid_exists(int(path.name)) for path in tmp_path.glob("[1-9]*")), 20
    )


def test_error_of_a_task_and_death_of_its_process_reach_the_caller(start_worker):
    start_worker()
    with pytest.raises(ZeroDivisionError):
        do(lambda: 1 / 0)
    with pytest.raises(RuntimeError, match="ended with status -9"):
        do(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_worker_with_other_code_is_refused(start_worker, monkeypatch):
    start_worker()
    monkeypatch.setattr(workers_module, "_code", lambda: "that of another version")
    with pytest.raises(RuntimeError, match="differ from those here"):
        do(lambda: "never")


def test_cluster_without_workers_is_an_error(scheduler, monkeypatch):
    monkeypatch.setenv("DIGITLIB_CLUSTER", scheduler)
    monkeypatch.setattr(workers_module, "CLUSTER_TIMEOUT", 3)
    with pytest.raises(OSError, match="with workers, but it has none"):
        do(lambda: "never")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
def test_address_that_does_not_answer_is_named(monkeypatch, address):
    monkeypatch.setenv("DIGITLIB_CLUSTER", address)
    monkeypatch.setattr(workers_module, "CLUSTER_TIMEOUT", 1)
    with pytest.raises(OSError, match=f"DIGITLIB_CLUSTER={address}: expected"):
        do(lambda: "never")


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setenv("DIGITLIB_CLUSTER", "tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "digitlib\[cluster\]"'):
        do(lambda: "never")
