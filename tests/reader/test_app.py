"""The app over real HTTP: answers, refusals, headers, many clients, flat memory."""

import asyncio
import http.client
import json
import re
import select
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psutil
import pytest
from sample_pictures import bad_pictures, written

from digitlib.reader import app, server
from digitlib.reader.bounds import Readers
from digitlib.reader.reading import read_picture
from digitlib.reader.strokes import read_drawing

HEAD = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def address():
    return urlsplit(server.start_app()).netloc


def ask(address, method, path, body=None, kind="image/png"):
    """Status, headers and content of an answer; JSON is decoded."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": kind})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    is_json = response.headers["content-type"] == "application/json"
    return response.status, response.headers, json.loads(content) if is_json else content


def read(address, body):
    status, _, content = ask(address, "POST", "/api/predict", body)
    return status, content


def test_the_answer_is_that_of_predict(address, sample):
    picture = written(sample, "42")
    assert read(address, picture) == (200, read_picture(picture))


def test_a_drawing_comes_as_json(address):
    body = b'{"width": 320, "height": 240, "strokes": [[[160, 40], [160, 200]]]}'
    status, _, content = ask(address, "POST", "/api/predict", body, "application/json")
    assert (status, content) == (200, read_drawing(body)) and content["text"] == "1"
    charset = "Application/JSON; charset=utf-8"
    assert ask(address, "POST", "/api/predict", body, charset)[0] == 200
    for bad in (b"{", b"\x89PNG", body.replace(b"160", b'"160"')):
        status, _, content = ask(address, "POST", "/api/predict", bad, "application/json")
        assert status == 422 and "drawing" in content["error"]
    long = body.replace(b"320", b"[" + b"1," * 100_000 + b"1]")
    status, _, content = ask(address, "POST", "/api/predict", long, "application/json")
    assert status == 422 and len(content["error"]) < 200


def test_the_address_of_every_host_can_be_opened(capsys, monkeypatch):
    monkeypatch.setattr(server.uvicorn.Server, "run", lambda self, sockets: None)
    server.serve("0.0.0.0", 0)
    host = urlsplit(capsys.readouterr().out.split()[4]).hostname
    assert host not in (None, "0.0.0.0")


def test_the_page_and_its_parts(address):
    for path, start in {
        "/": b"<!doctype html>",
        "/app.js": b"import",
        "/style.css": b":root",
    }.items():
        status, headers, content = ask(address, "GET", path)
        assert status == 200 and content.startswith(start)
        assert headers["content-type"].endswith("charset=utf-8")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/app.js", 200),
        ("POST", "/api/predict", 400),
        ("GET", "/api/predict", 405),
        ("GET", "/app.py", 404),
        ("GET", "/app.js/", 404),
        ("GET", "/../app.py", 404),
        ("GET", "/static/index.html", 404),
        ("GET", "/%2e%2e/%2e%2e/pyproject.toml", 404),
    ],
)
def test_every_answer_is_strict(address, method, path, status):
    found, headers, content = ask(address, method, path)
    assert found == status
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert status == 200 or len(content["error"].split()) > 4


@pytest.mark.parametrize("name", bad_pictures())
def test_bad_pictures_get_a_sentence(address, sample, name):
    status, content = read(address, bad_pictures()[name])
    assert 400 <= status < 500 and list(content) == ["error"]
    assert len(content["error"].split()) > 4 and "/" not in content["error"]
    assert read(address, written(sample, "7"))[1]["text"] == "7", "the server goes on"


def test_a_body_over_the_limit(address, sample):
    status, content = read(address, bytes(app.MAX_BYTES + 1))
    assert status == 413 and "20 MB" in content["error"]
    assert read(address, written(sample, "7"))[1]["text"] == "7"


def test_a_slow_sender_is_sent_away(address, sample, monkeypatch):
    monkeypatch.setattr(app, "BODY_TIMEOUT", 0.3)
    with socket.create_connection(address.split(":")) as slow:
        slow.settimeout(5)
        slow.sendall(HEAD + b"Content-Length: 1000\r\n\r\nx")
        assert read(address, written(sample, "7"))[1]["text"] == "7", "others do not wait"
        answered = b"".join(iter(lambda: slow.recv(4096), b""))
    assert answered.startswith(b"HTTP/1.1 408") and b"send it faster" in answered


@pytest.mark.parametrize("lines", [b"", b"Content-Length: 1\r\n"])
def test_a_body_in_chunks_is_refused(address, lines):
    with socket.create_connection(address.split(":")) as connection:
        connection.sendall(HEAD + lines + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        answered = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answered.startswith(b"HTTP/1.1 411") and b"send its Content-Length" in answered


def test_what_nobody_waits_for_is_not_read():
    async def gone():
        return True

    readers = Readers(1)
    try:
        assert asyncio.run(readers(read_drawing, b"no drawing", gone)) is None
    finally:
        readers.stop()


def senders(address, n, sent):
    """Connections that announce a large body, send this much of it and then nothing."""
    silent = [socket.create_connection(address.split(":")) for _ in range(n)]
    for connection in silent:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (2 * app.SMALL_BYTES) + sent)
    return silent


def test_large_bodies_take_turns_and_small_ones_pass(sample, monkeypatch):
    for name, value in {"LARGE_AT_ONCE": 2, "BODY_TIMEOUT": 5, "WAIT": 1}.items():
        monkeypatch.setattr(app, name, value)
    address, picture = server.start_app().removeprefix("http://"), written(sample, "7")
    small = senders(address, 2, b"x")
    large = picture + bytes(app.SMALL_BYTES)
    assert read(address, large)[1]["text"] == "7", "only what has come is counted"
    slow = senders(address, 2, bytes(app.SMALL_BYTES + 1))
    time.sleep(0.5)
    assert read(address, picture)[1]["text"] == "7"
    assert select.select(slow, [], [], 0)[0] == []  # they are still at it
    status, content = read(address, large)
    assert status == 503 and "large" in content["error"], "a large body did not wait for a place"
    monkeypatch.setattr(app, "WAIT", 10)
    assert read(address, large)[1]["text"] == "7", "its place is free once the slow ones are gone"
    assert all(select.select([one], [], [], 0)[0] for one in slow)
    assert read(address, large)[1]["text"] == "7"
    for connection in small + slow:
        connection.close()


def test_64_clients_at_once(address, sample):
    pictures = {number: written(sample, number) for number in ("0", "42", "7")}
    numbers = [*pictures] * 64
    with ThreadPoolExecutor(64) as clients:
        answers = list(clients.map(read, [address] * 192, map(pictures.get, numbers)))
    assert [content["text"] for _, content in answers] == numbers


@pytest.fixture
def command():
    """`python -m digitlib app`, as a user starts it."""
    arguments = [sys.executable, "-m", "digitlib", "app", "--port", "0"]
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C cannot be sent to a process there")
def test_the_command_answers_soon_stays_small_and_says_little(command, sample):
    started = time.perf_counter()
    line = command.stdout.readline()
    address = re.search(r"http://(127\.0\.0\.1:\d+)", line)[1]
    assert ask(address, "GET", "/")[0] == 200
    assert time.perf_counter() - started < 8

    picture, process = written(sample, "1234567890"), psutil.Process(command.pid)
    bad = list(bad_pictures().values())

    def megabytes_after(rounds):
        for i in range(rounds):
            read(address, picture)
            read(address, bad[i % len(bad)])
        return sum(one.memory_info().rss for one in (process, *process.children(True))) / 1e6

    before = megabytes_after(50)
    assert megabytes_after(150) < before + 10
    with socket.create_connection(address.split(":")) as gone:
        gone.sendall(b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
    assert read(address, picture)[0] == 200
    command.send_signal(signal.SIGINT)
    assert command.communicate(timeout=10)[0] == "", "no request is logged, and Ctrl+C is silent"
    assert command.returncode == 0


def test_a_taken_port_gets_one_clear_line(address):
    port = address.split(":")[1]
    arguments = [sys.executable, "-m", "digitlib", "app", "--port", port]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: cannot listen on 127.0.0.1, port {port}")
