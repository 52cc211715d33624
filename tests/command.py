"""Runs a command in this process, which has loaded TensorFlow already; waits, but not forever."""

import io
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

import matplotlib.pyplot as plt
import pytest

from digitlib.__main__ import main


def wait_until(condition, seconds=120):
    """Return once the condition holds; fail where it does not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {seconds} s in vain"
        time.sleep(0.05)


def call(*arguments, folder, **environment):
    """What `python -m digitlib` would print, and its status, as `subprocess.run` gives them."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    status = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(streams[0]),
        redirect_stderr(streams[1]),
    ):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["digitlib", *map(str, arguments)])
        for name, value in environment.items():
            patch.setenv(name, str(value))
        try:
            main()
        except SystemExit as end:
            status = end.code
            if isinstance(status, str):
                print(status, file=sys.stderr)
                status = 1
    plt.close("all")
    for stream in streams:
        stream.seek(0)
    return subprocess.CompletedProcess(arguments, status, *(stream.read() for stream in streams))
