"""Files are seen whole or not at all, whoever writes them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from digitlib.files import written_whole


def test_threads_that_write_one_file_leave_one_of_theirs(tmp_path):
    path = tmp_path / "file.txt"

    def write(letter):
        for _ in range(50):
            with written_whole(path) as draft, draft.open("w") as file:
                for _ in range(20):
                    file.write(100 * letter)
            assert len(set(path.read_text(encoding="utf-8"))) == 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, "abcdefgh"))
    assert len(path.read_text(encoding="utf-8")) == 2000 and list(tmp_path.iterdir()) == [path]


def test_failed_writing_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), written_whole(path) as draft:
        draft.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text(encoding="utf-8") == "before" and list(tmp_path.iterdir()) == [path]
