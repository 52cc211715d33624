"""What a run is named after: all that decides it, so that a kept run never hides a change.

Own code, be it from this package, a module beside a notebook or one of its cells, counts by its
source and that of whatever it names, wherever it stands. Installed packages count by their names,
and those in VERSIONED by their versions.
"""

import dataclasses
import dis
import hashlib
import inspect
import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import keras
import numpy as np
from joblib.hashing import NumpyHasher

from digitlib import fitting

VERSIONED = ("keras", "numpy", "tensorflow")
INSTALLED = {"site-packages", "dist-packages"}  # the folders that pip and Debian fill
GENERATED = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__")


def run_names(jobs, data):
    """Names pairs of a recipe and a seed after all that decides a run: also code and versions."""
    versions = [version(package) for package in VERSIONED]
    return names_of(jobs, data, content_hash(fitting.train_here), versions)


def names_of(jobs, data, *others):
    """Names of files for pairs of a recipe and a seed: those two, and a hash of what it is made of.

    others : what else decides the name, as JSON can hold it
    """
    made = made_of_all(jobs, data)
    return [file_name(recipe.name, seed, [made[id(recipe)], *others]) for recipe, seed in jobs]


def file_name(recipe, seed, parts):
    """The name of the file for a recipe's name, a seed and whatever else decides, as JSON."""
    digest = hashlib.sha256(json.dumps([parts, seed]).encode()).hexdigest()
    return f"{recipe}-seed{seed}-{digest[:16]}"


def made_of_all(jobs, data):
    """What each recipe of the jobs is made of, by its id: built once, not for every seed."""
    recipes = {id(recipe): recipe for recipe, _ in jobs}
    return {key: made_of(recipe, data) for key, recipe in recipes.items()}


def made_of(recipe, data):
    """What a run is made of besides its seed, for JSON: network, settings, own code and data."""
    model = fitting.compiled_model(recipe, data)
    builds = zip(model.get_weights(), recipe.build().get_weights(), strict=True)
    not_random = b"".join(a.tobytes() for a, b in builds if np.array_equal(a, b))
    layers = [model, model.optimizer, *model._flatten_layers(include_self=False)]
    held = [thing for layer in layers for thing in (type(layer), *vars(layer).values())]
    return {
        "network": json.loads(model.to_json(), object_hook=_without_names),
        "weights": hashlib.sha256(not_random).hexdigest(),
        "epochs": recipe.epochs,
        "batch_size": recipe.batch_size,
        "validation": recipe.validation,
        "n_fitted": recipe.n_fitted(len(data.x_train)),
        "code": content_hash([recipe.augment, recipe.loss, *filter(_is_own, held)]),
        "data": data.sha256,
    }


def _without_names(part):
    """Keras counts its layers on in their names; a policy has nothing but its name, which stays.

    A loss is left to its own hash, as the JSON of a lambda says where it stands.
    """
    unwanted = {"name", "loss"} if len(part) > 1 else set()
    if not str(part.get("module")).startswith("keras"):
        unwanted.add("module")
    return {key: part[key] for key in part if key not in unwanted}


def content_hash(thing):
    """A hash of what an object holds and of the own code in it, the same in each process."""
    return _Hasher(hash_name="sha1").hash(thing)


class _Hasher(NumpyHasher):
    """joblib's, but own code by what it is rather than where."""

    met = ()

    def reducer_override(self, thing):
        if isinstance(thing, ModuleType):
            return str, (thing.__name__,)
        if isinstance(thing, keras.Layer | keras.Loss):  # as pickles these differ each time
            config = json.dumps(thing.get_config(), default=repr)
            return list, ([type(thing), json.loads(config, object_hook=_without_names)],)
        if not isinstance(thing, FunctionType | type) or not _is_own(thing):
            return NotImplemented
        if thing in self.met:  # it names itself
            return str, (self.met.index(thing),)
        self.met = (*self.met, thing)
        return list, (_parts_of_class(thing) if isinstance(thing, type) else _parts_of(thing),)


def _is_own(thing):
    """Whether a thing is code, or of a class, that did not come with Python or from an index."""
    code = thing if isinstance(thing, FunctionType | type) else type(thing)
    package = code.__module__.partition(".")[0]
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    is_installed = package in sys.stdlib_module_names or INSTALLED & {*Path(file).parts}
    return package in ("digitlib", "__main__") or not is_installed


def _parts_of(function):
    """The source of a function, what it names, and the values that it carries."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):  # typed into Python itself, which keeps no source
        source = function.__code__.co_code, repr(function.__code__.co_consts)
    known = function.__globals__
    named = {name: known[name] for name in _names(function.__code__) if name in known}
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [source, named, cells, function.__defaults__, function.__kwdefaults__]


def _names(code):
    """The global names that code loads; its co_names have those of attributes among them."""
    loaded = {it.argval for it in dis.get_instructions(code) if it.opname == "LOAD_GLOBAL"}
    return loaded.union(*(_names(it) for it in code.co_consts if isinstance(it, CodeType)))


def _parts_of_class(cls):
    """What a class is derived from and defines, less what Python adds by itself."""
    generated = GENERATED if dataclasses.is_dataclass(cls) else ()
    written = {}
    for name, value in vars(cls).items():
        value = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        is_code = isinstance(value, FunctionType) and name not in generated
        if is_code or not name.startswith(("__", "_abc")):
            written[name] = value
    return [cls.__bases__, written]
