"""Many people at once: nobody gets an error, and memory stays within bounds."""

from how_often import times
from soak import soak


def test_many_at_once_get_no_error():
    found = soak(times(8, 600))
    print(found)
    statuses = {name.split()[1] for name in found["answers"]}
    assert {"drawing 200", "rubbish 422"} <= found["answers"].keys() and statuses <= {"200", "422"}
    assert max(found["MB after 10 %, at the end, most"]) < 1_300  # three pictures at their bounds
