"""What a general package for reading text makes of the same pictures: rapidocr, PP-OCRv6 small.

    python -m digitlib.studies.peer FOLDER [FOLDER ...]

A FOLDER is as score_reader takes it; figures/studies/peer.csv gets a row a picture. The package is
shown at its best: pictures grey, dark ink on light paper and large enough, answers held to the ten
digits, no line turned over or dropped as doubtful. Size and margin are chosen from some forty by
how many of these same pictures it then reads.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps
from tqdm import tqdm

from digitlib.plotting import save_table
from digitlib.studies.score_reader import digits_in_place

TABLE = Path("figures/studies/peer.csv")
SIDE = 96  # pixels: the long side of one digit's picture, and the least of a page's short side
MARGIN = SIDE // 8  # pixels on each side of one digit's picture


def load_peer():
    """The package's engine, on one core, its recogniser held to the ten digits."""
    try:
        from rapidocr import RapidOCR
    except ImportError:
        sys.exit("error: rapidocr is not installed: pip install rapidocr==3.10.0 onnxruntime")
    one_core = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    choices = {"use_cls": False, "text_score": 0.0, "log_level": "critical"}
    engine = RapidOCR(params=one_core | {f"Global.{name}": v for name, v in choices.items()})
    hold_to_digits(engine._load_rec_model())
    return engine


def hold_to_digits(recogniser):
    """Let a recogniser give a probability to nothing but the ten digits and the blank of CTC."""
    score, characters = recogniser.session, recogniser.postprocess_op.character
    allowed = np.isin(characters, ["blank", *"0123456789"])
    recogniser.session = lambda lines: score(lines) * allowed


def read_digit(engine, path):
    """The digit that the recogniser finds most probable at any step along the picture."""
    recogniser = engine.text_rec
    grey = _dark_on_light(path)
    grey = ImageOps.contain(grey, (SIDE, SIDE), Image.Resampling.LANCZOS)
    grey = ImageOps.expand(grey, MARGIN, int(_paper(grey)))
    line = recogniser.resize_norm_img(np.dstack([grey] * 3), max_wh_ratio=320 / 48)
    steps = recogniser.session(line[np.newaxis])[0]
    return recogniser.postprocess_op.character[1 + steps[:, 1:].max(axis=0).argmax()]


def read_page(engine, path):
    """The digits of all lines that the detector finds, in its order."""
    grey = _dark_on_light(path)
    if min(grey.size) < SIDE:
        grey = ImageOps.scale(grey, SIDE / min(grey.size), Image.Resampling.LANCZOS)
    return "".join(engine(np.asarray(grey)).txts or ())


def _dark_on_light(path):
    """The picture upright, on white and in grey, inverted where its border is dark."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    grey = Image.alpha_composite(paper, image).convert("L")
    return ImageOps.invert(grey) if _paper(grey) < 128 else grey


def _paper(grey):
    """The median of the picture's outermost pixels."""
    pixels = np.asarray(grey)
    return np.median(np.concatenate([pixels[[0, -1]].ravel(), pixels[:, [0, -1]].ravel()]))


def read_folder(engine, folder):
    """A row a picture: folder, pictures (single or multi), file, label, text, digits in place."""
    tables = []
    for pictures, read in {"single": read_digit, "multi": read_page}.items():
        table = pd.read_csv(folder / f"{pictures}.csv", dtype={"label": str})
        files = tqdm(table.file, f"{folder.name}, {pictures}", unit="picture")
        table["text"] = [read(engine, folder / pictures / file) for file in files]
        table["in_place"] = digits_in_place(table)
        table = table[["file", "label", "text", "in_place"]]
        tables.append(table.assign(folder=folder.name, pictures=pictures))
    order = ["folder", "pictures", "file", "label", "text", "in_place"]
    return pd.concat(tables, ignore_index=True)[order]


def main(folders):
    engine = load_peer()
    tables = [read_folder(engine, Path(folder).resolve()) for folder in folders]
    save_table(pd.concat(tables, ignore_index=True), TABLE)
    print(f"wrote {TABLE}")


if __name__ == "__main__":
    main(sys.argv[1:])
