"""Where independent tasks are done: on the cores of this machine, or on a cluster of machines."""

import hashlib
import os
import pickle
import platform
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import joblib

CLUSTER_TIMEOUT = 10  # seconds without an answer after which a cluster counts as absent


@contextmanager
def workers(n_tasks, shared):
    """What does n tasks, as `joblib.delayed` makes them, and gives the results as they come.

    That is `joblib.Parallel`, or the Dask cluster whose scheduler DIGITLIB_CLUSTER names. There,
    a task whose worker dies is done again by another.

    shared : objects that are arguments of many tasks; each is sent to the cluster once
    Raises OSError for a cluster that does not answer or has no worker, and RuntimeError for
    workers that would give other results, or that die of a task again and again.
    """
    address = os.environ.get("DIGITLIB_CLUSTER")
    if not address:
        yield on_cores(n_tasks)
        return
    with _connected(address) as client:
        yield lambda tasks: _on_cluster(client, tasks, shared)


def on_cores(n_tasks):
    """The `joblib.Parallel` that gives results as they come, and whose processes end with this."""
    n_jobs = max(2, min(n_tasks, joblib.cpu_count()))  # joblib takes 1 for "in this process"
    start = {"initializer": start_worker, "initargs": (os.getpid(),)}
    return joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", **start)


def start_worker(parent):
    """Let this process end with its parent, and TensorFlow be quiet in it."""
    end_with(parent)
    from digitlib.quiet import tensorflow

    logger = tensorflow.get_logger()
    logger.setLevel("ERROR")  # it warns of code that has no file here, a notebook's


def end_with(parent):
    """Let this process end once its parent, of that number, has ended in whatever way."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    if sys.platform != "win32":  # there, a process keeps the number of a parent that has ended
        threading.Thread(target=watch, daemon=True).start()


def _connected(address):
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        advice = f'DIGITLIB_CLUSTER needs {error.name}: pip install "digitlib[cluster]"'
        raise ModuleNotFoundError(advice) from error
    expected = f"DIGITLIB_CLUSTER={address}: expected a Dask scheduler, such as tcp://host:8786"
    try:
        client = Client(address, timeout=CLUSTER_TIMEOUT)
    except (OSError, ValueError) as error:
        raise OSError(f"{expected}, but none answers there") from error
    try:
        client.wait_for_workers(1, timeout=CLUSTER_TIMEOUT)
    except TimeoutError as error:
        client.close()
        raise OSError(f"{expected}, with workers, but it has none") from error
    return client


def processor():
    """The name of this machine's processor, on Linux with how wide its vectors are."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    if name := re.search(r"model name\s*: (.+)", text):
        vectors = {"avx512f": "AVX-512", "avx2": "AVX2"}
        widest = next((vectors[flag] for flag in vectors if flag in text.split()), "no AVX2")
        return f"{name[1]} ({widest})"
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()


class _Shared(NamedTuple):
    """Stands for the shared object of that index where a task has it as an argument."""

    index: int


def _on_cluster(client, tasks, shared):
    """In Dask's own terms, as joblib's Dask backend waits forever for a task that Dask gives up.

    All goes as bytes, so that neither the scheduler nor the workers import what tasks need.
    """
    import cloudpickle
    import dask
    from distributed import KilledWorker, as_completed

    # What is shared is a task's result, which Dask makes again when the workers that had it die.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}):
        sent = [client.submit(bytes, cloudpickle.dumps(it), pure=False) for it in shared]
    places = {id(it): _Shared(i) for i, it in enumerate(shared)}
    code = _code()
    futures = []
    for function, arguments, keywords in tasks:
        arguments = [places.get(id(argument), argument) for argument in arguments]
        task = cloudpickle.dumps((function, arguments, keywords))
        futures.append(client.submit(_in_own_process, code, task, sent, pure=False))
    try:
        for future in as_completed(futures):
            outcome = pickle.loads(future.result())
            if isinstance(outcome, Exception):
                raise outcome
            future.release()  # else the workers keep all results
            yield outcome
    except (KilledWorker, CancelledError) as error:
        raise RuntimeError(f"the cluster gave up: {error}") from error


def _in_own_process(code, task, shared):
    """Do a task beside the Dask worker, which draws from Python's global random numbers."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outcome"
        code_of_child = f"from digitlib.workers import _child; _child({os.getpid()})"
        command = [sys.executable, "-c", code_of_child, file]
        done = subprocess.run(command, input=pickle.dumps((code, task, shared)), check=False)
        if done.returncode:
            host = socket.gethostname()
            raise RuntimeError(f"a task ended with status {done.returncode} on {host}")
        return file.read_bytes()


def _child(parent):
    end_with(parent)
    outcome = _do(*pickle.load(sys.stdin.buffer))
    Path(sys.argv[1]).write_bytes(pickle.dumps(outcome))


def _do(code, task, shared):
    """What a task gives, or its exception; code is that which `_code` gave the caller."""
    if code != _code():
        host = socket.gethostname()
        return RuntimeError(f"{host}: digitlib, Keras, NumPy or TensorFlow differ from those here")
    try:
        function, arguments, keywords = pickle.loads(task)
        arguments = [
            pickle.loads(shared[argument.index]) if isinstance(argument, _Shared) else argument
            for argument in arguments
        ]
        return function(*arguments, **keywords)
    except Exception as error:
        return error


def _code():
    """Names what decides results besides their tasks: digitlib's source and the versions."""
    sources = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    versions = [version(name) for name in ("keras", "numpy", "tensorflow")]
    return hashlib.sha256(repr([sources, versions]).encode()).hexdigest()
