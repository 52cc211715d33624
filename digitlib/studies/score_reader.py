"""Scores the reader on pictures that people drew, photographed and scanned, and on non-digits.

    python -m digitlib.studies.score_reader FOLDER [FOLDER ...]

A FOLDER holds single.csv and multi.csv with the columns file, label, medium, maker, notes (and
kind), and the pictures in single/ and multi/. figures/studies/reader.csv gets a row a picture.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from digitlib.plotting import save_table
from digitlib.reader.ink import load_picture
from digitlib.reader.network import load_network
from digitlib.reader.reading import read
from digitlib.studies.not_digits import test_pictures

TABLE = Path("figures/studies/reader.csv")


def read_folder(folder, predict):
    """A row a picture, the columns of the table; `text` has "|" between lines and "?" in it."""
    tables = []
    for pictures, kind in {"single": "digit", "multi": "mixed"}.items():
        table = pd.read_csv(folder / f"{pictures}.csv", dtype={"label": str})
        files = tqdm(table.file, f"{folder.name}, {pictures}", unit="picture")
        readings = [read(load_picture(folder / pictures / file), predict) for file in files]
        table["text"] = [reading.text.replace("\n", "|") for reading in readings]
        table["sure"] = [reading.sure for reading in readings]
        table["in_place"] = digits_in_place(table)
        table["kind"] = table.get("kind", kind)
        tables.append(table.assign(folder=folder.name, pictures=pictures))
    columns = "folder pictures kind file label text in_place sure maker medium"
    return pd.concat(tables, ignore_index=True)[columns.split()]


def digits_in_place(table):
    """How many of each label's digits the text has in place; anywhere, where the notes say so.

    table : a row a picture, with label, text (of which only the digits count) and notes
    """
    unordered = table.notes.astype(str).str.contains("multiset")
    return [
        sum((Counter(label) & Counter(text)).values()) if loose else in_place(label, text)
        for label, text, loose in zip(table.label, only_digits(table.text), unordered, strict=True)
    ]


def only_digits(texts):
    """Each text of a Series without what is no digit."""
    return texts.str.replace(r"\D", "", regex=True)


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


def summary(table):
    """A row a folder and kind: pictures, those right as a whole and sure; digits on them."""
    read = only_digits(table.text).str.len()
    table = table.assign(n=1, digits=table.label.str.len(), too_many=read - table.in_place)
    signs = table.text.str.replace("|", "").str.len()  # a "?" makes the reading wrong
    table["right"] = (table.in_place == table.digits) & (signs == table.digits)
    table["wrong_and_sure"] = table.sure & ~table.right
    counts = ["n", "right", "sure", "wrong_and_sure", "digits", "in_place", "too_many"]
    return table.groupby(["folder", "kind"], sort=False)[counts].sum()


def score_others(predict):
    """A row for each picture of something else: its kind, and whether it was declined."""
    rows = []
    for kind, pictures in test_pictures(np.random.default_rng(1)).items():
        for picture in pictures:
            reading = read(load_picture(picture), predict)
            rows.append((kind, not reading.sure, reading.text))
    return pd.DataFrame(rows, columns=["kind", "declined", "text"])


def main(folders):
    predict = load_network()
    tables = [read_folder(Path(folder).resolve(), predict) for folder in folders]
    table = pd.concat(tables, ignore_index=True)
    save_table(table, TABLE)
    errors = table[table.text.str.replace("|", "") != table.label]
    print(errors[["file", "label", "text", "sure"]].to_csv(sep=" ", index=False))
    print(summary(table).to_string(), end="\n\n")
    others = score_others(predict)
    print(others.groupby("kind").declined.agg(["sum", "count"]))
    print(f"not digits: {others.declined.mean():.2%} of {len(others)} declined")
    print(f"wrote {TABLE}")


if __name__ == "__main__":
    main(sys.argv[1:])
