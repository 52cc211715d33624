"""One picture in, one answer in JSON's types out: what `predict --json` and the app give."""

import base64
import io
from functools import cache

from PIL import Image

from digitlib.handwriting import SURE, read
from digitlib.pictures import load_picture
from digitlib.predictor import WEIGHTS, load_predictor


@cache
def reader():
    """The predict function of the weights that ship with the package."""
    return load_predictor(WEIGHTS)


def answer(source):
    """What is written on a picture, as JSON's types; PictureError where it is no picture.

    `source` is what load_picture takes. The answer has `text`, `sure`, and `digits` in reading
    order, each with `digit`, `confidence` (0 to 1), `sure`, `box` (left, top, right, bottom in
    pixels of the upright picture), `probabilities` of 0 to 9 (what they lack of 1 is the
    probability that it is no digit), and `image`, the 28 x 28 image judged, a PNG in base64.
    """
    reading = read(load_picture(source), reader())
    digits = [
        {
            "digit": digit.digit,
            "confidence": round(digit.confidence, 4),
            "sure": digit.confidence >= SURE,
            "box": list(digit.box),
            "probabilities": [round(p, 4) for p in digit.probabilities.tolist()],
            "image": _png(digit.image),
        }
        for digit in reading.digits
    ]
    return {"text": reading.text, "sure": reading.sure, "digits": digits}


def _png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
