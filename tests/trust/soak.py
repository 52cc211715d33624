"""Sixty-four people draw at once: `python tests/trust/soak.py SECONDS` prints what became of it."""

import collections
import http.client
import io
import json
import random
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
from PIL import Image

from digitlib.data import load_sample

CLIENTS = 64
PAUSE = 2.0  # seconds in the mean between an answer and the same client's next request


def soak(seconds):
    """Serve the page and ask it for so long: a dict of counts, latencies and memory.

    One request in twenty is a photograph of 12 megapixels, one in twenty is rubbish, the others
    are drawings of three digits. Each client waits for its answer, and then a random time.
    """
    command = [sys.executable, "-m", "digitlib", "app", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://(.*?) ", server.stdout.readline())[1]
        photograph, started = _photograph(), time.monotonic()
        process, memory = psutil.Process(server.pid), []
        with ThreadPoolExecutor(CLIENTS) as clients:
            end = started + seconds
            jobs = [clients.submit(_client, i, address, photograph, end) for i in range(CLIENTS)]
            while time.monotonic() < end:
                time.sleep(min(1, seconds / 20))
                held = (process, *process.children())
                memory.append(sum(one.memory_info().rss for one in held) / 1e6)
            answers = [answer for job in jobs for answer in job.result()]
    finally:
        server.kill()
        server.wait()
    waits = [wait for kind, _, wait in answers if kind == "drawing"]
    return {
        "answers": dict(sorted(collections.Counter(f"{k} {s}" for k, s, _ in answers).items())),
        "drawing, seconds (p50, p99, most)": np.round(np.quantile(waits, (0.5, 0.99, 1)), 3),
        "MB after 10 %, at the end, most": np.round(
            [memory[len(memory) // 10], memory[-1], max(memory)]
        ),
    }


def _client(seed, address, photograph, end):
    rng, answers = random.Random(seed), []
    while True:
        time.sleep(rng.uniform(0, 2 * PAUSE))
        if time.monotonic() > end:
            return answers
        kind = rng.choices(["drawing", "photograph", "rubbish"], [18, 1, 1])[0]
        body, media_type = {
            "drawing": (_drawing(rng), "application/json"),
            "photograph": (photograph, "image/jpeg"),
            "rubbish": (rng.randbytes(1000), rng.choice(["image/png", "application/json"])),
        }[kind]
        started = time.monotonic()
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.request("POST", "/api/predict", body, {"Content-Type": media_type})
        response = connection.getresponse()
        response.read()
        connection.close()
        answers.append((kind, response.status, time.monotonic() - started))


def _drawing(rng):
    """Three digits as the page sends them: a 1, a 7 and a 0, never twice the same."""

    def points(left, *shape):
        return [(left + x + rng.uniform(-4, 4), y + rng.uniform(-4, 4)) for x, y in shape]

    angles = np.linspace(0, 2 * np.pi, 30)
    zero = [(30 + 28 * np.sin(a), 100 - 60 * np.cos(a)) for a in angles]
    strokes = [
        points(60, *((0, y) for y in range(40, 161, 6))),
        points(
            120, *((x, 42) for x in range(0, 56, 6)), *((55 - 15 * t, 42 + 60 * t) for t in (1, 2))
        ),
        points(220, *zero),
    ]
    return json.dumps({"width": 320, "height": 200, "strokes": strokes}).encode()


def _photograph():
    """Twelve megapixels of grey paper with six digits, as a camera's JPEG."""
    data = load_sample()
    page = Image.fromarray(255 - np.concatenate([*data.x_test[:6]], axis=1))
    photograph = Image.new("L", (4000, 3000), 190)
    photograph.paste(page.resize((2016, 336)).point(lambda v: 60 + v * 130 // 255), (900, 1300))
    noise = np.random.default_rng(0).normal(0, 6, (3000, 4000))
    pixels = (np.asarray(photograph) + noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    for name, value in soak(float(sys.argv[1])).items():
        print(f"{name}: {value}")
