"""Scores the reader on pictures that people drew, photographed and scanned, and on non-digits.

    python -m digitlib.studies.score_reader FOLDER

FOLDER holds single.csv and multi.csv with the columns file, label, medium, maker (and notes), and
the pictures in single/ and multi/.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from digitlib.reader.ink import load_picture
from digitlib.reader.network import load_network
from digitlib.reader.reading import read
from digitlib.studies.not_digits import test_pictures


def score_singles(folder, predict):
    """A row for each picture of one digit: label, text, confidence, right, sure."""
    table = pd.read_csv(folder / "single.csv", dtype={"label": str})
    readings = [read(load_picture(folder / "single" / file), predict) for file in table.file]
    table["text"] = [reading.text for reading in readings]
    table["confidence"] = [min((d.confidence for d in r.digits), default=0) for r in readings]
    table["right"] = table.text == table.label
    table["sure"] = [reading.sure for reading in readings]
    return table[["file", "label", "text", "confidence", "right", "sure", "medium", "maker"]]


def score_pages(folder, predict):
    """A row for each picture of several digits: how many are in place, how many too many."""
    table = pd.read_csv(folder / "multi.csv", dtype={"label": str})
    table["text"] = [
        read(load_picture(folder / "multi" / file), predict).text for file in table.file
    ]
    unordered = table.notes.str.contains("multiset")
    table["in_place"] = [
        sum((Counter(label) & Counter(text)).values()) if loose else in_place(label, text)
        for label, text, loose in zip(table.label, table.text, unordered, strict=True)
    ]
    table["digits"] = table.label.str.len()
    table["extra"] = table.text.str.len() - table.in_place
    return table[["file", "label", "text", "digits", "in_place", "extra", "medium", "maker"]]


def in_place(label, text):
    """The digits that an alignment of fewest edits leaves unchanged (Levenshtein)."""
    best = [(j, 0) for j in range(len(text) + 1)]  # (edits, -matches) for label[:i], text[:j]
    for i, wanted in enumerate(label, 1):
        row = [(i, 0)]
        for j, found in enumerate(text, 1):
            edits, matches = best[j - 1]
            same = wanted == found
            choices = [(edits + (not same), matches - same)]
            choices += [(edits + 1, matches) for edits, matches in (best[j], row[-1])]
            row.append(min(choices))
        best = row
    return -best[-1][1]


def score_others(predict):
    """A row for each picture of something else: its kind, and whether it was declined."""
    rows = []
    for kind, pictures in test_pictures(np.random.default_rng(1)).items():
        for picture in pictures:
            reading = read(load_picture(picture), predict)
            rows.append((kind, not reading.sure, reading.text))
    return pd.DataFrame(rows, columns=["kind", "declined", "text"])


def by(table, column, right):
    """Right, total and share for each value of a column."""
    group = table.groupby(column)[right].agg(["sum", "count", "mean"])
    return group.set_axis(["right", "of", "share"], axis=1).round(4)


def main(folder):
    predict, folder = load_network(), Path(folder)
    singles = score_singles(folder, predict)
    print(f"single digits: {singles.right.sum()} of {len(singles)}, {singles.right.mean():.2%}")
    for column in ("medium", "maker"):
        print(by(singles, column, "right"), end="\n\n")
    print("errors:\n", singles[~singles.right].to_string(index=False))
    threshold = singles.confidence.quantile(0.03)
    kept = singles[singles.confidence >= threshold]
    print(
        f"confidence {threshold:.4f} keeps {len(kept) / len(singles):.1%}: "
        f"{(~kept.right).sum()} errors"
    )
    sure = singles[singles.sure]
    print(f"sure of {len(sure) / len(singles):.1%}: {(~sure.right).sum()} errors\n")
    pages = score_pages(folder, predict)
    print(pages.to_string(index=False))
    total = pages.digits.sum()
    print(
        f"pages: {pages.in_place.sum()} of {total} digits in place, {pages.extra.sum()} too many\n"
    )
    others = score_others(predict)
    print(by(others, "kind", "declined"))
    print(f"not digits: {others.declined.mean():.2%} of {len(others)} declined")


if __name__ == "__main__":
    main(*sys.argv[1:])
