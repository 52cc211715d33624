"""The command line: python -m digitlib COMMAND."""

import argparse
import os
import re
import sys
from pathlib import Path


def main():
    """Run the command that the arguments name; a clear line and status 1 where it cannot."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a pipe may have an encoding without ±
    args = _parser().parse_args()
    try:
        if args.command in (_recipes, _train, _search, _evaluate, _bench, _reproduce):
            import digitlib.quiet  # noqa: F401
        args.command(args)
        sys.stdout.flush()
    except BrokenPipeError:  # such as by `| head`, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ModuleNotFoundError, ValueError, OSError, RuntimeError, MemoryError) as error:
        if args.debug:
            raise
        text = _missing(error) if isinstance(error, ModuleNotFoundError) else error
        sys.exit(f"error: {_printable(text)}")
    except KeyboardInterrupt:
        sys.exit("interrupted: what was finished is kept; the same command goes on from there")


def _printable(text):
    """The text without what a terminal takes for commands: a file may have any name and content."""
    return re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "�", str(text))


def _missing(error):
    if not error.name:
        return error  # which says it all
    extra = "app" if error.name in ("starlette", "uvicorn") else "study"
    advice = f'{error.name} is not installed: pip install "digitlib[{extra}]", or in the '
    return advice + f'repository pip install -e ".[{extra}]"'


def _parser():
    parser = argparse.ArgumentParser(prog="python -m digitlib", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(function, help):
        command = commands.add_parser(function.__name__.removeprefix("_"), help=help)
        command.set_defaults(command=function)
        command.add_argument("--debug", action="store_true", help="show where an error comes from")
        return command.add_argument

    add(_recipes, "list the recipes and what their sources claim")
    train = add(_train, "train a recipe and save the network")
    train("recipe", help="a name that `recipes` lists")
    train("--seed", type=int, default=0)
    train("--out", type=_keras_path, default="model.keras", metavar="FILE.keras")
    search = add(_search, "look for better training settings of a recipe")
    search("recipe", help="a name that `recipes` lists, such as p3")
    search("--trials", type=int, required=True, metavar="N", help="in all")
    search("--storage", metavar="URL", help="a database that machines can share")
    evaluate = add(_evaluate, "measure a saved network on the test images")
    evaluate("model", help="a file of Keras, or a network of ours, such as best")
    evaluate("--report", type=Path, metavar="DIR", help="write a page with pictures")
    evaluate("--data", metavar="SOURCE", help="usps, uci, a file or a folder instead of MNIST")
    evaluate("--form", help="how it is shown: mnist (default), padded, resized, as-is")
    how = "what the file needs; an error names it"
    evaluate("--convert", metavar="NAME", action="append", default=[], help=how)
    predict = add(_predict, "read pictures of handwritten digits")
    what = "a picture, a folder of pictures, or - for one from standard input"
    predict("pictures", nargs="+", type=Path, metavar="FILE", help=what)
    predict("--json", action="store_true", help="for programs: a list of answers")
    app = add(_app, "serve a page on which you write and are read")
    app("--host", default="127.0.0.1", help="default: reachable from here only")
    app("--port", type=int, default=8000)
    bench = add(_bench, "measure seconds and accuracy on this machine")
    bench("--quick", action="store_true", help="fewer trainings, in a few minutes")
    add(_data, "find MNIST, or fetch it once")
    reproduce = add(_reproduce, "train again all that figures/runs/ holds")
    reproduce("--write", action="store_true", help="and put it in their place")
    figures = add(_figures, "execute the notebooks and write figures/")
    figures("notebooks", nargs="*", type=Path, help="default: all, in order")
    return parser


def _keras_path(text):
    if not text.endswith(".keras"):
        raise argparse.ArgumentTypeError(f"{text}: Keras saves to a name that ends in .keras")
    return Path(text)


def _recipes(args):
    from digitlib.recipes import RECIPES

    for recipe in RECIPES.values():
        claims = ", ".join(f"{name} {value:.4g}" for name, value in recipe.claims.items())
        print(f"{recipe.name}  {recipe.title}, {recipe.build().count_params():,} parameters")
        print(f"    source   {recipe.source}")
        if claims:
            print(f"    claims   {claims}")
        print(
            f"    training {recipe.epochs} epochs, batches of {recipe.batch_size}, "
            f"{type(recipe.new_optimizer(60_000)).__name__}, validation: {recipe.validation}"
        )
        if recipe.augment:
            print(f"    augment  {recipe.augment}")
        if recipe.choices:
            print(f"    choices  {recipe.choices}")
        print()


def _train(args):
    import shutil

    import matplotlib.pyplot as plt

    from digitlib.data import load_mnist
    from digitlib.files import written_whole
    from digitlib.plotting import plot_training_curves, save_figure, use_style
    from digitlib.recipes import get_recipe
    from digitlib.training import train

    data = load_mnist()
    run = train(get_recipe(args.recipe), data, args.seed)
    run.load_model().summary()
    print(run.history.round(4).to_string())
    print(f"seconds: on one core, {run.processor}", end="\n\n")
    _print_metrics(data, run.y_pred)

    with written_whole(args.out) as draft:
        shutil.copyfile(run.path / "model.keras", draft)
    use_style()
    fig, axes = plt.subplots(1, 2)
    for ax, metric in zip(axes, ("loss", "accuracy"), strict=True):
        plot_training_curves([run.history], metric=metric, ax=ax)
    name = f"{args.out.stem}_training"
    curves = run.history.drop(columns="seconds")
    picture = save_figure(fig, curves, name, data=data, seeds=[run.seed], folder=args.out.parent)
    print(f"wrote {args.out}, {picture} and {picture.with_suffix('.csv')}")


def _search(args):
    from digitlib.data import load_mnist
    from digitlib.recipes import get_recipe
    from digitlib.studies.search import best_settings, search
    from digitlib.writers import unseen_writers_last

    recipe, data = get_recipe(args.recipe), unseen_writers_last(load_mnist())
    study = search(recipe, data, args.trials, storage=args.storage)
    best = f"trial {study.best_trial.number} reads {100 * study.best_value:.2f} %"
    print(f"""# {data.name}: {best} of the validation images
from digitlib import get_recipe
from digitlib.studies.search import Settings

recipe = {best_settings(study)}.applied_to(get_recipe("{recipe.name}"))""")


def _evaluate(args):
    import numpy as np
    import pandas as pd

    from digitlib.archive import shipped_network
    from digitlib.networks import open_network
    from digitlib.plotting import plot_digits, save_figure, use_style
    from digitlib.report import write_report

    file = Path(args.model)
    is_file = file.is_file() or (file / "saved_model.pb").is_file()
    file = file if is_file else shipped_network(args.model)
    data = _test_data(args)
    predict, how = open_network(file)
    y_prob = predict(data.x_test)
    y_pred = y_prob.argmax(axis=1)
    _print_metrics(data, y_pred)
    print(how)

    first_errors = np.flatnonzero(y_pred != data.y_test)[:20]
    shown = np.concatenate([np.arange(len(y_pred))[:20], first_errors])
    y_true, y_pred, images = data.y_test[shown], y_pred[shown], data.x_test[shown]
    use_style()
    axes = plot_digits(images, y_true=y_true, y_pred=y_pred)
    table = pd.DataFrame({"test_index": shown, "y_true": y_true, "y_pred": y_pred})
    source = f"_{Path(args.data).stem}" if args.data else ""
    name = f"{Path(args.model).stem}_predictions{source}"
    picture = save_figure(axes[0].figure, table, name, data=data, folder=".")
    both = f"{picture} and {picture.with_suffix('.csv')}"
    print(_printable(f"wrote {both}: the first 20 test images, then the first errors"))
    if args.report:
        page = write_report(
            y_prob, data, args.report, title=f"How well does {Path(args.model).name} read?"
        )
        print(_printable(f"wrote {page} with its pictures and tables"))


def _test_data(args):
    from digitlib.data import load_mnist
    from digitlib.datasets import load_test_set

    if args.data:
        return load_test_set(args.data, convert=args.convert, form=args.form or "mnist")
    if args.form or args.convert:
        raise ValueError("--form and --convert are for --data; MNIST's own images need neither")
    return load_mnist()


def _print_metrics(data, y_pred):
    from digitlib.evaluation import metrics

    head = f"{data.name}, {len(y_pred):,} test images (precision, recall, F1: mean over digits)"
    print(_printable(head))
    for name, value in metrics(data.y_test, y_pred).items():
        print(f"    {name:9}  {value:.4f}")


def _predict(args):
    import json

    _one_thread()
    from digitlib.reader.answers import answers_to, as_line

    failed = False
    for i, answer in enumerate(answers_to(args.pictures)):
        failed |= "error" in answer
        if args.json:
            print(",\n " if i else "[", json.dumps(answer), sep="", end="", flush=True)
        elif "error" in answer:
            print(_printable(f"error: {answer['error']}"), file=sys.stderr)
        else:
            print(_printable(as_line(answer)), flush=True)
    if args.json:
        print("]")
    sys.exit(failed)


def _one_thread():
    """On images this small, threads of the linear algebra only wait for each other."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is imported


def _app(args):
    _one_thread()
    from digitlib.reader.server import serve

    serve(args.host, args.port)


def _bench(args):
    import matplotlib.pyplot as plt

    from digitlib.data import load_mnist
    from digitlib.plotting import save_figure, use_style
    from digitlib.studies import bench

    data = load_mnist()
    print(f"{bench.machine()}; {bench.versions()}")
    print(f"{data.name}, {len(data.x_train):,} + {len(data.x_test):,} images", flush=True)
    entries = bench.QUICK if args.quick else bench.FULL
    try:
        table = bench.summary(bench.bench(data, entries))
    except KeyboardInterrupt:
        sys.exit("interrupted: nothing was written; the lines above say what was measured")
    print(f"\n{table.drop(columns='machine').round(2).to_string(index=False)}")
    print("seconds: from building the network on; error: percent; mean and standard deviation (sd)")
    use_style()
    fig, ax = plt.subplots()
    bench.plot_bench(table, ax=ax)
    here = "figures" if Path("figures").is_dir() else "."
    folder, seeds = os.environ.get("DIGITLIB_FIGURES", here), range(table.trainings.max())
    picture = save_figure(fig, table, "04_seconds_bench", data=data, seeds=seeds, folder=folder)
    print(f"\nwrote {picture} and {picture.with_suffix('.csv')}")


def _data(args):
    from digitlib.data import fetch_mnist

    print(f"MNIST, verified: {fetch_mnist()}")


def _reproduce(args):
    from digitlib.archive import reproduce
    from digitlib.data import load_mnist
    from digitlib.plotting import save_table

    data = load_mnist()
    if data.is_sample:
        raise ValueError("the archive is of all MNIST: `python -m digitlib data` fetches it")
    table = reproduce(data, write=args.write)
    worst = table.groupby("recipe")[["error", "archived_error", "differently_read"]].mean()
    print(worst.round(2).to_string())
    path = Path("figures/studies/reproduced.csv")
    save_table(table, path)
    print(f"wrote {path}: how close each of {len(table)} runs came to the archive's")


def _figures(args):
    from digitlib.notebooks import execute_notebooks, settle_environment

    notebooks = args.notebooks or sorted(Path("notebooks").glob("*.ipynb"))
    if not notebooks:
        raise FileNotFoundError("notebooks/: no notebook here; run this in the repository's root")
    data = settle_environment()
    execute_notebooks(notebooks, data.is_sample)
    if data.is_sample:
        print("wrote figures/sample/ from the embedded sample; nothing else was touched")
        return
    print("wrote figures/ and the outputs in notebooks/")


if __name__ == "__main__":
    main()
