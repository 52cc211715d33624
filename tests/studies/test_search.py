"""Search: it learns from validation images alone, survives being killed, and can be shared."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from command import call, wait_until
from optuna.trial import TrialState
from tiny import TINY, dtype_policy, few_digits, leave_mark, tiny_network

import digitlib.studies.search
from digitlib.recipes import RECIPES
from digitlib.studies.search import FAMILIES, Settings, best_settings, search
from digitlib.training import train

RECIPE = replace(TINY, epochs=4, validation="test")
SCRIPT = """
import sys
from dataclasses import replace
from tiny import TINY, few_digits, leave_mark
from digitlib.studies.search import search
if __name__ == "__main__":
    epochs, n_trials, storage = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] or None
    recipe = replace(TINY, epochs=epochs, augment=leave_mark)
    search(recipe, few_digits(), n_trials, storage=storage)
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="uses process groups")


@pytest.fixture(scope="module")
def few():
    return few_digits()


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("DIGITLIB_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def study(few):
    search(RECIPE, few, 8)
    return search(RECIPE, few, 10)


def test_called_again_it_goes_on_to_the_number_in_all(study, few):
    assert [trial.number for trial in study.trials] == list(range(10))
    assert len({repr(trial.params) for trial in study.trials}) == 10
    assert len(search(RECIPE, few, 5).trials) == 10


def test_a_trial_computes_in_the_precision_in_force(few, tmp_path):
    def build():
        network = tiny_network()
        (tmp_path / network.layers[-1].compute_dtype).touch()
        return network

    with dtype_policy("float64"):
        search(replace(RECIPE, build=build), few, 1)
    assert [mark.name for mark in tmp_path.iterdir()] == ["float64"]


def test_hopeless_trials_are_stopped_from_the_middle_on(study):
    last = {state: set() for state in (TrialState.COMPLETE, TrialState.PRUNED)}
    for trial in study.trials:
        last[trial.state].add(trial.last_step)
    assert last[TrialState.COMPLETE] == {4}
    assert last[TrialState.PRUNED] and last[TrialState.PRUNED] <= {2, 3}


def test_what_is_printed_trains_to_what_was_found(study, few, monkeypatch):
    """The value is that of the last sixth of the training images, though the recipe says "test"."""
    monkeypatch.setitem(RECIPES, RECIPE.name, RECIPE)
    monkeypatch.setattr(digitlib.studies.search, "search", lambda *_, **__: study)
    printed = call("search", RECIPE.name, "--trials", "1", folder=".", DIGITLIB_DATASET="sample")
    pasted = {}
    exec(printed.stdout, pasted)
    run = train(pasted["recipe"], few, seed=0)
    assert run.history.val_accuracy.iloc[-1] == study.best_value
    assert pasted["recipe"].n_fitted(400) == 333
    found = train(best_settings(study).applied_to(RECIPE), few, seed=0)
    assert found.path == run.path


@pytest.mark.parametrize("name", FAMILIES)
def test_a_search_can_keep_to_one_optimizer(few, name):
    recipe = replace(TINY, epochs=1)
    study = search(recipe, few, 1, optimizers=[name])
    assert study.best_params["optimizer"] == name
    pasted = eval(repr(best_settings(study)), {"Settings": Settings})
    optimizer = pasted.applied_to(recipe).new_optimizer(400)
    family, built = FAMILIES[name], optimizer.get_config()
    assert type(optimizer).__name__ == family.optimizer
    low, high = family.scales["peak"]
    assert low <= built["learning_rate"]["config"]["warmup_target"] <= high
    for setting, (low, high) in family.memories.items():
        assert low <= built[setting] <= high
    assert family.fixed.items() <= built.items()


def test_test_images_play_no_part(few):
    blind = replace(few, x_test=few.x_test[::-1], y_test=0 * few.y_test)
    recipe = replace(TINY, epochs=1)
    values = [search(recipe, data, 3, optimizers=["adam"]).trials for data in (few, blind)]
    first, second = [[(trial.params, trial.value) for trial in trials] for trials in values]
    assert first == second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_trials": 0}, "expected 1 or more, got 0"),
        ({"optimizers": ["adam", "adaam"]}, "nesterov.*adaam"),
        ({"storage": "nonsense"}, "storage: .* expected the URL of a database"),
        ({"storage": "postgresql://user:secret@127.0.0.1:9/name"}, "storage: (?!.*secret)"),
    ],
)
def test_mistakes_are_named(few, arguments, message):
    with pytest.raises(ValueError, match=message):
        search(TINY, few, **{"n_trials": 1} | arguments)


def test_damaged_journal_is_named(few, cache):
    recipe = replace(TINY, epochs=1, batch_size=31)
    before = set(cache.iterdir())
    search(recipe, few, 1)
    (journal,) = set(cache.iterdir()) - before
    journal.write_bytes(journal.read_bytes().replace(b"{", b"", 1))
    with pytest.raises(ValueError, match=f"{journal.name}: damaged .* delete it"):
        search(recipe, few, 1)


def test_search_goes_on_after_a_disk_was_full(few, cache):
    """Half a line is left of what there was no room for."""
    recipe = replace(TINY, epochs=1, batch_size=30)
    before = set(cache.iterdir())
    search(recipe, few, 1)
    (journal,) = set(cache.iterdir()) - before
    with journal.open("ab") as file:
        file.write(journal.read_bytes()[:40])
    search(recipe, few, 2)
    assert [trial.number for trial in search(recipe, few, 2).trials] == [0, 1]


def test_without_optuna_the_extra_is_named():
    code = (
        "import sys; sys.modules['optuna'] = None\n"
        "sys.argv[1:] = ['search', 'p3', '--trials', '1']\n"
        "from digitlib.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith('error: the search needs optuna: pip install "digitlib[search]"\n')


def start_search(folder, epochs, n_trials, storage=None):
    script = folder / "script.py"
    script.write_text(SCRIPT)
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    places = {"PYTHONPATH": os.pathsep.join(paths), "DIGITLIB_CACHE": folder, "TINY_MARKS": folder}
    return subprocess.Popen(
        [sys.executable, script, str(epochs), str(n_trials), storage or ""],
        env=os.environ | {name: str(place) for name, place in places.items()},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@posix
@pytest.mark.parametrize("database", [False, True])
def test_trial_of_a_killed_process_does_not_count(few, tmp_path, monkeypatch, database):
    storage = f"sqlite:///{tmp_path}/study.db" if database else None
    with start_search(tmp_path, 30, 2, storage) as process:

        def has_begun():
            assert process.poll() is None, process.stderr.read()
            return list(tmp_path.glob("mark-*"))

        wait_until(has_begun)
        os.killpg(process.pid, signal.SIGKILL)
    monkeypatch.setenv("DIGITLIB_CACHE", str(tmp_path))
    study = search(replace(TINY, epochs=30, augment=leave_mark), few, 2, storage=storage)
    assert [trial.state.name for trial in study.trials] == ["RUNNING", "COMPLETE", "COMPLETE"]


@posix
def test_processes_share_a_study(tmp_path):
    with start_search(tmp_path, 10, 6) as one, start_search(tmp_path, 10, 6) as two:
        messages = [process.communicate()[1] for process in (one, two)]
    assert one.returncode == two.returncode == 0, messages
    (journal,) = tmp_path.glob("search-*.journal")
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    study = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) in (6, 7)  # one each to spare
    assert {trial.state.is_finished() for trial in study.trials} == {True}
    assert len({repr(trial.params) for trial in study.trials}) == len(study.trials)
    assert all("trial " in message for message in messages)
