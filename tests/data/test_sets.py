"""Public data files: the data directory first, then the cache, then a download that must have the right digest."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from adhere.data.sets import DataFile, locate
from adhere.errors import DataError

CONTENT = b'{"key": 1}\n'
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Files(BaseHTTPRequestHandler):
    """Serves CONTENT under /right, something else under /wrong, and 404 elsewhere."""

    served = 0

    def do_GET(self) -> None:
        body = {"/right": CONTENT, "/wrong": b"<html>moved</html>"}.get(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        type(self).served += 1  # before the body, with which the client goes on
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        Files.served = 0
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ADHERE_DATA", raising=False)
    monkeypatch.delenv("ADHERE_OFFLINE", raising=False)


def test_a_file_is_downloaded_once_and_then_read_from_the_cache(server: str) -> None:
    file = DataFile("set/rows.jsonl", DIGEST, f"{server}/right")
    assert locate(file).path.read_bytes() == CONTENT
    assert locate(file).sha256 == DIGEST
    assert Files.served == 1


def test_a_download_of_another_version_is_refused_and_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another version") as caught:
        locate(DataFile("set/rows.jsonl", DIGEST, f"{server}/wrong"))
    assert "--data-dir" in caught.value.hint
    assert not list((tmp_path / "cache").rglob("*.jsonl"))


@pytest.mark.parametrize("url", ["{server}/missing", "http://127.0.0.1:9/x"])
def test_a_download_that_fails_says_how_to_get_the_file(server: str, url: str) -> None:
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        locate(DataFile("set/rows.jsonl", DIGEST, url.format(server=server)))
    assert "--data-dir" in caught.value.hint


def test_offline_means_no_download(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADHERE_OFFLINE", "1")
    with pytest.raises(DataError, match="was not found"):
        locate(DataFile("set/rows.jsonl", DIGEST, f"{server}/right"))
    assert Files.served == 0


def test_the_users_own_file_comes_first_and_another_version_must_be_accepted(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data" / "set").mkdir(parents=True)
    (tmp_path / "data" / "set" / "rows.jsonl").write_bytes(b"mine")
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError, match="another version") as caught:
        locate(DataFile("set/rows.jsonl", DIGEST, f"{server}/right"))
    assert DIGEST[:12] in caught.value.message and "--accept-data" in caught.value.hint
    monkeypatch.setenv("ADHERE_ACCEPT_DATA", "1")
    found = locate(DataFile("set/rows.jsonl", DIGEST, f"{server}/right"))
    assert found.path.read_bytes() == b"mine"
    assert found.sha256 == hashlib.sha256(b"mine").hexdigest()
    assert "another version" in caplog.text


def test_a_file_without_a_digest_may_be_of_any_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.jsonl").write_bytes(b"mine")
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    assert locate(DataFile("mine.jsonl", "")).sha256 == hashlib.sha256(b"mine").hexdigest()
