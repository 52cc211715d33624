"""Killed, or out of space: everything reads, goes on, is right, and leaves no process behind."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command import wait_until
from how_often import times
from tiny import TINY, few_digits

from digitlib.studies.search import search

if sys.platform == "win32":
    pytest.skip("ends processes by signals", allow_module_level=True)

from works import WORKS, draw, left_of, look_for_settings, read, start, train, train_in_threads

KILLS = {
    "training": 20,
    "train": 10,
    "keeping runs": 20,
    "archive": 10,
    "figures": 20,
    "notebook": 10,
}
QUICK = ["keeping runs", "figures"]  # need no TensorFlow
whole = pytest.mark.skipif(not times(0, 1), reason="takes minutes; asked for by DIGITLIB_TRUST=1")


@pytest.fixture(scope="module", autouse=True)
def modules_of_tests():
    """Let the processes started here import what the tests import."""
    paths = [*map(str, Path(__file__).parents[:2]), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        yield


def do(work, folder, *arguments):
    """Do a work undisturbed: the seconds that it took."""
    begin = time.perf_counter()
    process = start(work, folder, *arguments)
    process.join()
    assert process.exitcode == 0, folder.with_suffix(".log").read_text(encoding="utf-8")
    return time.perf_counter() - begin


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """For a work: the folder before it, what stands there before and after, and its seconds."""
    known = {}

    def undisturbed(name):
        if name not in known:
            older, folder = (tmp_path_factory.mktemp("undisturbed") / part for part in "ab")
            do(WORKS[name].older, older)
            shutil.copytree(older, folder)
            seconds = do(WORKS[name].do, folder)
            known[name] = older, read(older), read(folder), seconds
        return known[name]

    return undisturbed


@pytest.fixture(scope="module")
def tally():
    """Counts what was broken; shown at the end under `pytest -s`."""
    counts = Counter()
    yield counts
    print("\n" + "\n".join(f"{kind:30} {n:4} survived" for kind, n in counts.items()))


def broken_off(process, seconds, by):
    """Whether a process was still at work after so many seconds, when it was ended."""
    time.sleep(seconds)
    getattr(process, by)()
    process.join()
    return process.exitcode != 0


def check(name, folder, before, after):
    """No process is left, each thing is whole, old or new, and the work done again makes it new."""
    wait_until(lambda: not left_of(folder), seconds=60)
    state = read(folder)
    for each in before | after | state:
        assert state.get(each) in (before.get(each), after.get(each)), each
    do(WORKS[name].do, folder)
    assert read(folder) == after


@pytest.mark.parametrize("name", times([*QUICK, "training"], WORKS))
def test_killed_work_leaves_old_or_new_and_goes_on(name, undisturbed, tmp_path, tally):
    older, before, after, seconds = undisturbed(name)
    rng = np.random.default_rng(list(WORKS).index(name))
    n = 0
    while n < times(1, KILLS[name]):
        folder = tmp_path / f"{n}"
        shutil.copytree(older, folder, dirs_exist_ok=True)
        by = ("kill", "terminate")[n % 2]
        if broken_off(start(WORKS[name].do, folder), rng.uniform(0, seconds), by):
            check(name, folder, before, after)
            n += 1
            tally[f"{name}, {by}"] += 1
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", times(QUICK, WORKS))
def test_files_that_may_not_grow_leave_old_or_new(name, undisturbed, tmp_path, tally):
    """Writing fails in its midst, as on a full disk; without rights that a disk to fill needs."""
    older, before, after, _ = undisturbed(name)
    rng = np.random.default_rng(0)
    for n in range(times(1, 5)):
        folder = tmp_path / f"{n}"
        shutil.copytree(older, folder)
        process = start(WORKS[name].do, folder, largest_file=int(rng.integers(1000, 8000)))
        process.join()
        assert process.exitcode == 1
        check(name, folder, before, after)
        tally[f"{name}, files may not grow"] += 1


@pytest.fixture
def small_disk(tmp_path):
    """A folder with 2 MB; only where this user may mount one."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", tmp_path]
    try:
        done = subprocess.run(mount, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip("this user may not mount a disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.mark.parametrize("name", times(QUICK, WORKS))
def test_full_disk_leaves_old_or_new(name, undisturbed, small_disk, tally):
    older, before, after, _ = undisturbed(name)
    rng = np.random.default_rng(1)
    for n in range(times(1, 5)):
        folder = small_disk / f"{n}"
        shutil.copytree(older, folder)
        free = shutil.disk_usage(small_disk).free
        filler = small_disk / "filler"
        filler.write_bytes(bytes(free - int(rng.integers(0, 8000))))
        process = start(WORKS[name].do, folder)
        process.join()
        filler.unlink()
        assert process.exitcode == 1
        check(name, folder, before, after)
        tally[f"{name}, disk full"] += 1
        shutil.rmtree(folder)


def test_cache_that_may_only_be_read_is_named_and_stays(small_disk, monkeypatch):
    monkeypatch.setenv("DIGITLIB_CACHE", str(small_disk / "cache"))
    train(small_disk)
    before = read(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(OSError, match=r"Read-only .*name another folder"):
        train(small_disk)
    assert len(before) == 6 and read(small_disk) == before


def test_two_processes_and_two_threads_on_one_cache(undisturbed, tmp_path):
    *_, after, _ = undisturbed("training")
    processes = [start(work, tmp_path / "a") for work in (train, train_in_threads)]
    for process in processes:
        process.join()
        assert process.exitcode == 0, (tmp_path / "a.log").read_text(encoding="utf-8")
    assert read(tmp_path / "a") == after


def test_two_that_save_one_figure_leave_whole_files(tmp_path):
    folder = tmp_path / "a"
    expected = []
    for height in (2, 1):
        do(draw, folder, height)
        expected.append(read(folder))
    both = [start(draw, folder, height, times(4, 20)) for height in (1, 2)]
    while any(process.is_alive() for process in both):
        for name, parts in read(folder).items():
            for i, part in enumerate(parts):
                assert part in [each[name][i] for each in expected]


@whole
@pytest.mark.parametrize("database", [False, True])
def test_killed_search_keeps_its_trials_and_goes_on(database, tmp_path, monkeypatch, tally):
    recipe, few = replace(TINY, epochs=3), few_digits()
    storage = f"sqlite:///{tmp_path}/a.db" if database else None
    same = f"{tmp_path}/a/cache/"  # its end tells the workers of this process from those left
    monkeypatch.setenv("DIGITLIB_CACHE", same)
    seconds = do(look_for_settings, tmp_path / "a", recipe, 1, storage)
    study = search(recipe, few, 1, storage=storage)
    rng = np.random.default_rng(0)
    for n in range(10):
        known = [trial.params for trial in study.trials]
        process = start(look_for_settings, tmp_path / "a", recipe, 1000, storage)
        assert broken_off(process, rng.uniform(0, 2 * seconds), ("kill", "terminate")[n % 2])
        wait_until(lambda: not left_of(tmp_path / "a"), seconds=60)
        study = search(recipe, few, 1, storage=storage)
        assert [trial.params for trial in study.trials][: len(known)] == known
        tally[f"search, {'database' if database else 'journal'}"] += 1
    finished = [trial for trial in study.trials if trial.state.is_finished()]
    study = search(recipe, few, len(finished) + 1, storage=storage)
    assert [trial for trial in study.trials if trial.state.is_finished()][:-1] == finished
