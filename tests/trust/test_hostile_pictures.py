"""Hostile pictures and drawings get an answer or a sentence, within bounds; the reader lives."""

import collections
import sys
from pathlib import Path

import psutil
import pytest
from hostile_pictures import hostile_pictures
from how_often import times
from sample_pictures import written

from digitlib.reader import bounds
from digitlib.reader.ink import PictureError
from digitlib.reader.reading import read_picture
from digitlib.reader.strokes import read_drawing


@pytest.fixture(scope="module")
def reader():
    reader = bounds.BoundedReader()
    yield reader
    reader.stop()


def test_hostile_pictures_get_an_answer_or_a_sentence(reader, sample, record_property):
    good, outcomes = written(sample, "7"), collections.Counter()
    reader(read_picture, good)
    small = peak(reader)
    for name, content in hostile_pictures(sample, times(120, 1_300)):
        read = read_drawing if name.startswith("drawing") else read_picture
        process = psutil.Process(reader._process.pid)
        before = sum(process.cpu_times()[:2])
        try:
            answer = reader(read, content)
            assert isinstance(answer["text"], str)
            outcomes["read"] += 1
        except PictureError as error:
            assert len(str(error).split()) > 4 and "/" not in str(error), name
            outcomes["stopped" if "more than 4 seconds" in str(error) else "refused"] += 1
        if process.is_running():
            assert sum(process.cpu_times()[:2]) - before < bounds.SECONDS + 0.2, name
            assert peak(reader) - small < bounds.MEGABYTES + 30, name
    print(dict(outcomes))
    assert outcomes["read"] and outcomes["refused"] and outcomes["stopped"]
    assert reader(read_picture, good)["text"] == "7"


def peak(reader):
    """The most memory that the process has held, in MB; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    status = Path(f"/proc/{reader._process.pid}/status").read_text("ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1000
