"""The studies of notebook 05: corrupted digits, other people's, and digits learnt from a few."""

import keras
import numpy as np
import pandas as pd

from digitlib.archive import load_runs
from digitlib.data import model_input
from digitlib.datasets import load_uci, load_usps, to_form
from digitlib.recipes.ours import BEST, PLAIN, ROBUST
from digitlib.recipes.projects import PROJECTS
from digitlib.studies.corruption import CORRUPTIONS, corrupt
from digitlib.studies.fine_tuning import few_of_each, fine_tune

NETWORKS = (*(recipe for recipe in PROJECTS if recipe.name in ("p2", "p3")), PLAIN, BEST, ROBUST)
SEEDS = range(3)
EVERY = 10  # of the test images one in ten is corrupted
SEVERITIES = range(1, 6)
FORMS = ("resized", "padded", "mnist")
PER_CLASS = (1, 3, 10, 30, 100)
METHODS = ("scratch", "frozen", "full")
OTHERS = {"usps": load_usps, "uci": load_uci}


def stretched(images):
    """Each image's contrast made full: its darkest pixel 0, its lightest 255.

    images : uint8, shape (n, 28, 28); of one tone only, it becomes all 0
    """
    lowest = images.min(axis=(1, 2), keepdims=True)
    highest = (images - lowest).max(axis=(1, 2), keepdims=True)
    return np.rint((images - lowest) * (255 / np.maximum(highest, 1))).astype(np.uint8)


def corruptions(data, recipes=NETWORKS, seeds=SEEDS, names=CORRUPTIONS):
    """Every network on every corruption, as it is and with the contrast stretched first.

    At MNIST-C's severity, without a number, and at each of the five severities; on one test image
    in ten, but on all of them where they are clean.

    Returns network, seed, stretched, corruption (or "clean"), severity, test_error and
    confidence (the mean of the largest probability), both in percent; a row each.
    """
    images, labels = data.x_test[::EVERY], data.y_test[::EVERY]
    corrupted = {("clean", None): data.x_test}
    for name in names:
        severities = SEVERITIES if CORRUPTIONS[name].severity else ()
        for severity in (None, *severities):
            corrupted[name, severity] = corrupt(images, name, severity=severity)
    stacked = np.concatenate(list(corrupted.values()))
    ends = np.cumsum([len(part) for part in corrupted.values()])[:-1]
    rows = []
    for run in load_runs(recipes, data, seeds, file="model.keras"):
        model = run.load_model()
        for stretch in (False, True):
            x = model_input(stretched(stacked) if stretch else stacked)
            y_prob = model.predict(x, batch_size=1000, verbose=0)
            for condition, part in zip(corrupted, np.split(y_prob, ends), strict=True):
                y_true = data.y_test if condition[0] == "clean" else labels
                scores = _error_and_confidence(y_true, part)
                rows.append((run.recipe, run.seed, stretch, *condition, *scores))
    columns = ["network", "seed", "stretched", "corruption", "severity", "test_error", "confidence"]
    return pd.DataFrame(rows, columns=columns).astype({"severity": float})


def forms(data, recipes=NETWORKS, seeds=SEEDS, names=tuple(OTHERS)):
    """Every network on digits of another kind, which it has never seen, in three forms.

    names : of OTHERS

    Returns network, seed, dataset, form, error and confidence, in percent; a row each. Raises
    DownloadError where USPS cannot be had.
    """
    rows = []
    others = {name: OTHERS[name]() for name in names}
    x = {(name, form): model_input(to_form(other.images, form))
         for name, other in others.items() for form in FORMS}  # fmt: skip
    for run in load_runs(recipes, data, seeds, file="model.keras"):
        model = run.load_model()
        for (name, form), images in x.items():
            y_prob = model.predict(images, batch_size=1000, verbose=0)
            scores = _error_and_confidence(others[name].labels, y_prob)
            rows.append((run.recipe, run.seed, name, form, *scores))
    columns = ["network", "seed", "dataset", "form", "error", "confidence"]
    return pd.DataFrame(rows, columns=columns)


def transfer(
    data, recipe=BEST, seeds=SEEDS, names=tuple(OTHERS), form="resized", per_class=PER_CLASS
):
    """A network trained on MNIST, fine-tuned on a few images of another kind, or built anew.

    Half of the other images, chosen once, are the pool from which the few are drawn, by seed; the
    errors are those on the other half. Where a digit has fewer in the pool, all are taken.

    Returns dataset, images_per_class, method, seed and error (percent), a row a run; with 0
    images a class the method is "none", the network as it was trained.
    """
    rows = []
    for name in names:
        pool, rest = halves(OTHERS[name](), form)
        for seed in seeds:
            (run,) = load_runs([recipe], data, [seed], file="model.keras")
            network = run.load_model()
            rows.append((name, 0, "none", seed, _error(network, *rest)))
            for n in per_class:
                few = few_of_each(pool[1], n, seed)
                for method in METHODS:
                    model = fine_tune(network, pool[0][few], pool[1][few], method, seed=seed)
                    rows.append((name, n, method, seed, _error(model, *rest)))
    columns = ["dataset", "images_per_class", "method", "seed", "error"]
    return pd.DataFrame(rows, columns=columns)


def halves(other, form):
    """An `ImageSet` in one form, in two halves chosen once: (images, labels) of each."""
    order = np.random.default_rng(0).permutation(len(other.labels))
    images, labels = to_form(other.images, form)[order], other.labels[order]
    middle = len(order) // 2
    return (images[:middle], labels[:middle]), (images[middle:], labels[middle:])


def _error(model, images, labels):
    y_prob = keras.ops.convert_to_numpy(model(model_input(images)))
    return _error_and_confidence(labels, y_prob)[0]


def _error_and_confidence(labels, y_prob):
    return 100 * (y_prob.argmax(axis=1) != labels).mean(), 100 * y_prob.max(axis=1).mean()
