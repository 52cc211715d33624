"""Runs long studies and keeps their tables: python -m digitlib.studies [NAME ...], or all."""

import argparse
import sys
from pathlib import Path

import digitlib.quiet  # noqa: F401
from digitlib.data import load_mnist
from digitlib.plotting import save_table
from digitlib.studies import (
    beyond_mnist,
    committee,
    faster_and_better,
    mlp_vs_cnn,
    unseen_writers,
)

FOLDER = Path("figures/studies")
NAMES = {
    mlp_vs_cnn: "rates matched",
    unseen_writers: "writers",
    faster_and_better: "steps augmentation optimizers winners size images records",
    committee: "views committee misses",
    beyond_mnist: "corruptions forms transfer",
}
STUDIES = {name: getattr(place, name) for place, names in NAMES.items() for name in names.split()}


def main():
    """Run the studies named on the command line, or all, and keep their tables."""
    parser = argparse.ArgumentParser(prog="python -m digitlib.studies", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STUDIES))
    names = parser.parse_args().names or STUDIES
    if unknown := set(names) - set(STUDIES):
        sys.exit(f"error: no study {', '.join(unknown)}; there are {', '.join(STUDIES)}")
    data = load_mnist()
    if data.is_sample:
        sys.exit("error: the studies need all of MNIST; set DIGITLIB_DATA (see README.md)")
    for name in names:
        save_table(STUDIES[name](data), FOLDER / f"{name}.csv")
        print(f"wrote {FOLDER / name}.csv")


if __name__ == "__main__":
    main()
