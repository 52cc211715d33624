"""Hostile requests: whatever arrives, the server answers others, and says no more than it must."""

import http.client
import select
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
from hostile_pictures import heavy
from how_often import times
from sample_pictures import written

from digitlib.reader import server

POST = "POST /api/predict HTTP/1.1\r\n"


@pytest.fixture(scope="module")
def address():
    return urlsplit(server.start_app()).netloc


def ask(address, picture, **headers):
    """The status of an answer, and what it says."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", "/api/predict", picture, names)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def sent(address, content):
    """The status line of the answer to raw bytes; empty where the connection is just closed."""
    with socket.create_connection(address.split(":"), timeout=20) as connection:
        try:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(100).split(b"\r\n")[0].decode()
        except OSError:
            return ""


def test_silent_connections_hold_nobody_out(address, sample):
    silent = [socket.create_connection(address.split(":")) for _ in range(server.CONNECTIONS + 50)]
    silent[-1].sendall(b"POST /api/pre")
    for _ in range(3):
        assert ask(address, written(sample, "7"))[0] == 200
    closed = select.select(silent, [], [], 0)[0]
    assert silent[0] in closed and silent[-1] not in closed, "the oldest go first"
    for connection in silent:
        connection.close()


def test_where_all_places_are_taken_a_new_one_is_told(monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 6)
    address = urlsplit(server.start_app()).netloc
    busy = [socket.create_connection(address.split(":")) for _ in range(5)]
    for connection in busy:
        connection.sendall((POST + "Host: localhost\r\nContent-Length: 9\r\n\r\nx").encode())
    time.sleep(0.5)
    assert sent(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").split()[1] == "503"
    for connection in busy:
        connection.close()


def test_who_has_just_been_answered_keeps_its_place(monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 6)
    address = urlsplit(server.start_app()).netloc
    client = http.client.HTTPConnection(address, timeout=30)

    def get():
        client.request("GET", "/app.js")
        return client.getresponse().read()

    get()
    silent = [socket.create_connection(address.split(":")) for _ in range(4)]
    time.sleep(0.5)
    before = client.sock
    get()
    silent.append(socket.create_connection(address.split(":")))
    assert select.select(silent, [], [], 5)[0] == [silent[0]]
    assert get() and client.sock is before
    for connection in silent:
        connection.close()


def test_who_takes_no_answer_is_sent_away(monkeypatch):
    monkeypatch.setattr(server, "STALLED", 0.5)
    address = urlsplit(server.start_app()).netloc
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((address.split(":")[0], int(address.split(":")[1])))
        connection.sendall(300 * b"GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(3)
        taken = bytearray()
        with suppress(ConnectionError):
            while part := connection.recv(2**16):
                taken += part
    assert 0 < taken.count(b"HTTP/1.1 200") < 300


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {}),
        (200, {"Host": "localhost:80", "Origin": "http://localhost:80"}),
        (200, {"Host": "192.0.2.7:8000", "Sec_Fetch_Site": "same-origin"}),
        (200, {"Host": "[2001:db8::1]:8000"}),
        (200, {"Host": socket.gethostname().upper()}),
        (200, {"Host": f"{socket.gethostname()}.local:8000"}),
        (403, {"Host": "digits.example.org"}),
        (403, {"Host": "127.0.0.1.example.org"}),
        (403, {"Host": "[::1"}),
        (403, {"Host": ""}),
        (403, {"Origin": "https://example.org"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": "http://[::1"}),
        (403, {"Sec_Fetch_Site": "cross-site"}),
        (403, {"Sec_Fetch_Site": "same-site"}),
    ],
)
def test_pages_of_other_sites_are_refused(address, sample, status, headers):
    found, text = ask(address, written(sample, "7"), **headers)
    assert found == status
    assert status == 200 or "open / by its address" in text


def test_a_head_without_end_is_refused(address):
    line = sent(address, (POST + "X: " + "x" * 2 * server.HEAD_BYTES).encode())
    assert line.startswith("HTTP/1.1 400") or line == "", "the rest of it may end the connection"


def test_hostile_requests_get_no_500(address, sample):
    rng, picture = np.random.default_rng(0), written(sample, "7")
    whole = (
        f"{POST}Host: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(picture)}\r\n"
        "\r\n"
    ).encode()
    crafted = [
        b"", b"\0" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"GET http://example.org/ HTTP/1.1\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        *(
            f"{POST}Host: localhost\r\n{lines}\r\n\r\n{body}".encode()
            for lines, body in (
                ("Content-Length: -1", "x"), ("Content-Length: 1e3", "x"),
                ("Content-Length: 99999999999999999999", "x"), ("Content-Length: ٣", "123"),
                ("Content-Length: 1\r\nContent-Length: 2", "xx"),
                ("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
                ("Transfer-Encoding: chunked", "ffffffffffffffff\r\nx"),
                ("Transfer-Encoding: chunked", "-1\r\nx\r\n0\r\n\r\n"),
                ("Transfer-Encoding: gzip", "x"), ("Expect: 100-continue", ""),
                ("Content-Type: application/json\r\nContent-Length: 2", "{}"),
                ("Content-Encoding: gzip\r\nContent-Length: 2", "{}"),
            )
        ),
    ]  # fmt: skip
    requests = [*crafted, *(damaged(whole, rng) + picture for _ in range(times(30, 400)))]
    with ThreadPoolExecutor(8) as clients:
        lines = [*clients.map(sent, [address] * len(requests), requests)]
    statuses = {line.split()[1] for line in lines if line}
    assert "400" in statuses and not any(status.startswith("5") for status in statuses)
    assert ask(address, picture)[0] == 200


def damaged(head, rng):
    """A request's head with one to three bytes changed, left out or repeated."""
    content = bytearray(head)
    for _ in range(rng.integers(1, 4)):
        place = rng.integers(len(content))
        content[place : place + rng.integers(0, 2)] = rng.bytes(rng.integers(0, 3))
    return bytes(content)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C cannot be sent to a process there")
def test_a_busy_server_stops_soon_and_leaves_nothing(sample):
    command = [sys.executable, "-m", "digitlib", "app", "--port", "0"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    address = process.stdout.readline().split("http://")[1].split()[0]
    assert ask(address, written(sample, "7"))[0] == 200
    readers = psutil.Process(process.pid).children(recursive=True)
    (long,) = (content for name, content in heavy() if name.startswith("JPEG whose"))
    with ThreadPoolExecutor(6) as clients:
        answers = clients.map(ask, [address] * 6, [long] * 6)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=3)
        assert {status for status, _ in answers} <= {422, 503}
    assert process.returncode == 0
    assert psutil.wait_procs(readers, timeout=3)[1] == []
