"""Hyperparameter search with Optuna: it goes on after an interruption, and several can share it."""

import hashlib
import inspect
import math
import sys
import time
from dataclasses import replace
from typing import NamedTuple

import joblib
import keras
import numpy as np

from digitlib.fitting import train_here
from digitlib.naming import run_names
from digitlib.recipes import one_cycle
from digitlib.training import cache_folder
from digitlib.workers import on_cores

try:
    import optuna
except ModuleNotFoundError as error:
    advice = f'the search needs {error.name}: pip install "digitlib[search]"'
    raise ModuleNotFoundError(advice) from error
from optuna.exceptions import StorageInternalError
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class Family(NamedTuple):
    """An optimizer, and between which bounds its settings are searched.

    scales : on a logarithmic scale
    memories : on a logarithmic scale of the distance to 1, as 1 / (1 - beta) steps are averaged
    """

    optimizer: str
    scales: dict[str, tuple[float, float]]
    memories: dict[str, tuple[float, float]]
    fixed: dict[str, bool]


BETAS = {"beta_1": (0.8, 0.99), "beta_2": (0.9, 0.999)}
FAMILIES = {
    "sgd": Family("SGD", {"peak": (0.01, 3)}, {}, {}),
    "nesterov": Family("SGD", {"peak": (3e-3, 1)}, {"momentum": (0.8, 0.99)}, {"nesterov": True}),
    "rmsprop": Family("RMSprop", {"peak": (1e-4, 1e-2)}, {"rho": (0.8, 0.999)}, {}),
    "adam": Family("Adam", {"peak": (3e-4, 3e-2)}, BETAS, {}),
    "adamw": Family("AdamW", {"peak": (3e-4, 3e-2), "weight_decay": (1e-3, 1)}, BETAS, {}),
}


class Settings(NamedTuple):
    """What a trial trains with; `others` are for the optimizer, a class of Keras by its name."""

    batch_size: int
    label_smoothing: float
    optimizer: str
    peak: float
    others: dict[str, float | bool]

    def applied_to(self, recipe):
        """The recipe with these settings; the last sixth of the training images is held out."""
        optimizer = getattr(keras.optimizers, self.optimizer)
        return replace(
            recipe,
            name=f"{recipe.name}_found",
            batch_size=self.batch_size,
            validation=1 / 6,
            optimizer=one_cycle(self.peak, optimizer, **self.others),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=self.label_smoothing),
        )


def search(recipe, data, n_trials, *, optimizers=tuple(FAMILIES), storage=None, seed=0):
    """Look for better settings of a recipe until its study has n trials: the `optuna.Study`.

    A trial trains as `train` does and is judged by its accuracy on the last sixth of the training
    images: a loss would compare badly, as label smoothing changes what it measures. From the
    middle of its epochs on it is stopped where it falls behind the median; not earlier, as the
    best rates of a one-cycle schedule show it late. The test images play no part.

    The study is kept in the cache, or in the database that `storage` names by its URL. Called
    again, it goes on to n trials in all; several processes may share a study, and each may then
    add one trial too many. What a trial tries follows from the seed, its number and the trials
    before it.

    optimizers : names in `FAMILIES`, to search only among these
    Raises ValueError for an unknown optimizer, a storage that cannot be used, or no trials.
    """
    if unknown := set(optimizers) - set(FAMILIES):
        raise ValueError(f"optimizers: expected some of {', '.join(FAMILIES)}, got {unknown}")
    if n_trials < 1:
        raise ValueError(f"n_trials: expected 1 or more, got {n_trials}")
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # _report says it in one line
    study = _open_study(_study_name(recipe, data, optimizers, seed), storage)
    study.pruner = optuna.pruners.MedianPruner(n_warmup_steps=math.ceil(recipe.epochs / 2))
    unseen = replace(data, x_test=data.x_test[:0], y_test=data.y_test[:0])
    policy = keras.config.dtype_policy()

    def objective(trial):
        # A sampler that lived longer would draw the same again after each start of the search.
        entropy = np.random.SeedSequence([seed, trial.number]).generate_state(1)
        study.sampler = optuna.samplers.TPESampler(seed=int(entropy[0]))
        tried = _settings(trial, optimizers).applied_to(recipe)
        task = joblib.delayed(_accuracy)(trial, tried, unseen, seed, policy)
        (accuracy,) = on_cores(1)([task])
        if accuracy is None:
            raise optuna.TrialPruned
        return accuracy

    while len(study.get_trials(deepcopy=False, states=FINISHED)) < n_trials:
        study.optimize(objective, n_trials=1, callbacks=[_report])
    return study


def best_settings(study):
    """The `Settings` of a study's best trial."""
    return _settings(optuna.trial.FixedTrial(study.best_params))


def _settings(trial, optimizers=tuple(FAMILIES)):
    """The `Settings` that a trial suggests, rounded to what is printed."""
    name = trial.suggest_categorical("optimizer", optimizers)
    family = FAMILIES[name]
    scales = {
        key: float(f"{trial.suggest_float(f'{name} {key}', low, high, log=True):.3g}")
        for key, (low, high) in family.scales.items()
    }
    memories = {
        key: round(1 - trial.suggest_float(f"{name} 1-{key}", 1 - high, 1 - low, log=True), 4)
        for key, (low, high) in family.memories.items()
    }
    return Settings(
        trial.suggest_int("batch_size", 32, 512, log=True),
        round(trial.suggest_float("label_smoothing", 0, 0.2), 3),
        family.optimizer,
        scales.pop("peak"),
        scales | memories | family.fixed,
    )


def _accuracy(trial, recipe, data, seed, policy):
    """Train in this process: the accuracy on validation images, or None where it was stopped."""

    def report(epoch, row):
        trial.report(row["val_accuracy"], epoch)
        if epoch < recipe.epochs and trial.should_prune():
            raise optuna.TrialPruned

    try:
        _, history = train_here(recipe, data, seed, policy, after_epoch=report)
    except optuna.TrialPruned:
        return None  # an error would end the worker process
    return float(history.val_accuracy.iloc[-1])


def _report(study, trial):
    tried = _settings(optuna.trial.FixedTrial(trial.params))
    stopped = "stopped at " * (trial.state == TrialState.PRUNED)
    best = f"best {100 * study.best_value:.2f} %"
    said = f"trial {trial.number}: {stopped}{100 * trial.value:.2f} % ({best}), {tried}"
    print(said, file=sys.stderr)


def _study_name(recipe, data, optimizers, seed):
    """Names a study after all that decides its result, as runs are named."""
    code = inspect.getsource(sys.modules[__name__]) + inspect.getsource(one_cycle)
    key = [*run_names([(recipe, seed)], data), *optimizers, code, optuna.__version__]
    return f"search-{recipe.name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}"


def _open_study(name, url):
    try:
        storage = _database(url) if url else _journal(cache_folder() / f"{name}.journal")
        return optuna.create_study(
            study_name=name, storage=storage, direction="maximize", load_if_exists=True
        )
    except (SQLAlchemyError, StorageInternalError, ImportError) as error:
        raise ValueError(
            f"storage: {str(error).splitlines()[0]}; expected the URL of a database that answers, "
            "such as postgresql://user@host/name, and its driver installed"
        ) from error


def _database(url):
    try:
        return optuna.storages.RDBStorage(url)
    except SQLAlchemyError:  # such as when another process creates the same tables just now
        time.sleep(2)
        return optuna.storages.RDBStorage(url)


def _journal(path):
    """A file, which Optuna recommends over SQLite where several processes write."""
    lock = JournalFileOpenLock(str(path))
    lock.acquire()
    try:
        with path.open("ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)  # a full disk has left half a line
    finally:
        lock.release()
    try:
        return optuna.storages.JournalStorage(JournalFileBackend(str(path), lock))
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path}: damaged ({error}); delete it to search anew") from error
