"""Downloads from real servers on this machine: whole, resumed, cut, damaged, refused."""

from __future__ import annotations

import hashlib
import shutil
import socket
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.http import Handler, serving

from lorgnette.cli.assistant.engines import download
from lorgnette.cli.assistant.engines.catalog import Model, RemoteFile
from lorgnette.cli.assistant.engines.download import DownloadError, address, fetch, missing_files

CONTENT = bytes(range(256)) * 4_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = "/main/models/x.pt"
FILE = RemoteFile("x.pt", f"https://hub.invalid{PATH}", len(CONTENT), SHA256)
UNVERIFIED = RemoteFile("x.pt", f"https://hub.invalid{PATH}")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "x.pt"


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda url: monkeypatch.setenv("LORGNETTE_MODELS_URL", url)


def part_of(target: Path) -> Path:
    return target.with_name("x.pt.part")


def ranged(handler: Handler) -> None:
    """Serve CONTENT, or what the Range header asks of it."""
    start = int(handler.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
    if start >= len(CONTENT):
        handler.send(416, b"", Content_Range=f"bytes */{len(CONTENT)}")
    elif "range" in handler.headers:
        where = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.send(206, CONTENT[start:], "application/octet-stream", Content_Range=where)
    else:
        handler.send(200, CONTENT, "application/octet-stream")


def cut_after(count: int) -> Callable[[Handler], None]:
    """Promise all of what is asked for, send `count` bytes of it and hang up."""

    def answer(handler: Handler) -> None:
        start = int(handler.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(CONTENT) - start))
        handler.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        handler.end_headers()
        handler.wfile.write(CONTENT[start : start + count])
        handler.close_connection = True

    return answer


def fails(file: RemoteFile, target: Path) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        fetch(file, target)
    assert not target.exists()  # whatever happened, nothing that looks whole is there
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_file_is_fetched_checked_and_put_in_place(target: Path, mirror: Callable[[str], None]) -> None:
    seen: list[tuple[int, int]] = []
    with serving(ranged) as server:
        mirror(f"{server.url}/mirror/")
        assert fetch(FILE, target, lambda done, total: seen.append((done, total)))
    assert target.read_bytes() == CONTENT
    assert [asked.path for asked in server.asked] == [f"/mirror{PATH}"]
    assert list(target.parent.iterdir()) == [target]
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_taken_up_again_by_itself(target: Path, mirror: Callable[[str], None]) -> None:
    with serving(cut_after(len(CONTENT) // 3 + 1)) as server:
        mirror(server.url)
        assert fetch(FILE, target)
    assert target.read_bytes() == CONTENT
    assert [asked.headers.get("range") for asked in server.asked] == [None, "bytes=341334-", "bytes=682668-"]


def test_what_is_left_of_a_download_is_resumed_by_the_next(target: Path, mirror: Callable[[str], None]) -> None:
    with serving(cut_after(100_000)) as server:
        mirror(server.url)
        error = fails(FILE, target)
        assert (error.kind, error.remedy) == ("network", "run the same command again: it goes on")
        assert len(server.asked) == 4  # not for ever
    assert part_of(target).stat().st_size == 400_000
    with serving(ranged) as server:
        mirror(server.url)
        assert fetch(FILE, target)
        assert server.asked[0].headers["range"] == "bytes=400000-"
    assert target.read_bytes() == CONTENT


def test_without_progress_it_is_not_tried_again(target: Path, mirror: Callable[[str], None]) -> None:
    with serving(cut_after(0)) as server:
        mirror(server.url)
        assert fails(FILE, target).remedy == "run the same command again"
        assert len(server.asked) == 1


def test_a_whole_part_needs_no_network(target: Path, mirror: Callable[[str], None]) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    mirror("http://127.0.0.1:9")
    assert fetch(FILE, target)
    assert target.read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_all_of_it(target: Path, mirror: Callable[[str], None]) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(b"something else")
    with serving(lambda handler: handler.send(200, CONTENT)) as server:
        mirror(server.url)
        assert fetch(FILE, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [206, 416])
def test_a_part_that_does_not_fit_is_thrown_away(target: Path, mirror: Callable[[str], None], status: int) -> None:
    """Too long, or answered with another range than was asked for."""
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT + b"more" if status == 416 else b"some")

    def answer(handler: Handler) -> None:
        if "range" not in handler.headers:
            handler.send(200, CONTENT)
        elif status == 416:
            ranged(handler)
        else:
            handler.send(206, CONTENT[8:], Content_Range=f"bytes 8-{len(CONTENT) - 1}/{len(CONTENT)}")

    with serving(answer) as server:
        mirror(server.url)
        assert fetch(FILE, target)
        assert len(server.asked) == 2
    assert target.read_bytes() == CONTENT


def test_a_part_of_other_content_is_noticed_and_deleted(target: Path, mirror: Callable[[str], None]) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 1_000)
    with serving(ranged) as server:
        mirror(server.url)
        error = fails(FILE, target)
        assert error.kind == "integrity"
        assert "its checksum is wrong" in str(error)
        assert not part_of(target).exists()
        assert fetch(FILE, target)  # so that the next try starts from nothing, and works


def test_damage_on_the_way_is_noticed(target: Path, mirror: Callable[[str], None]) -> None:
    with serving(lambda handler: handler.send(200, CONTENT[:-1] + b"?")) as server:
        mirror(server.url)
        assert fails(FILE, target).kind == "integrity"


def test_a_login_page_is_not_taken_for_a_model(target: Path, mirror: Callable[[str], None]) -> None:
    with serving(lambda handler: handler.send(200, b"<html>Sign in</html>", "text/html")) as server:
        mirror(server.url)
        error = fails(FILE, target)
    assert error.kind == "integrity"
    assert "offers 20 bytes for x.pt, which has 1024000" in str(error)
    assert not part_of(target).exists()


def test_a_server_may_not_send_more_than_there_is(target: Path, mirror: Callable[[str], None]) -> None:
    def answer(handler: Handler) -> None:
        handler.begin_stream()  # without a length
        for _ in range(8):
            handler.chunk(CONTENT)
        handler.chunk(b"")

    with serving(answer) as server:
        mirror(server.url)
        assert "sends more than x.pt has" in str(fails(FILE, target))


def test_a_stream_that_ends_early_without_a_length(target: Path, mirror: Callable[[str], None]) -> None:
    def answer(handler: Handler) -> None:
        handler.begin_stream()
        handler.chunk(CONTENT[:1000])
        handler.chunk(b"")

    with serving(answer) as server:
        mirror(server.url)
        assert "ends after 1000 of 1024000 bytes" in str(fails(FILE, target))


def test_a_file_without_a_checksum_is_said_to_be_unverified(target: Path, mirror: Callable[[str], None]) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(b"of another version")  # nothing would notice the mixture
    with serving(ranged) as server:
        mirror(server.url)
        assert not fetch(UNVERIFIED, target)
        assert "range" not in server.asked[0].headers
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "said"), [(404, "has no x.pt (status 404)"), (403, "does not give x.pt (status 403)"), (500, "500")]
)
def test_a_refusal(target: Path, mirror: Callable[[str], None], status: int, said: str) -> None:
    with serving(lambda handler: handler.send(status, b"")) as server:
        mirror(server.url)
        error = fails(FILE, target)
    assert error.kind == "refused"
    assert said in str(error)


def test_redirects_are_followed(target: Path, mirror: Callable[[str], None]) -> None:
    def answer(handler: Handler) -> None:
        if handler.path == PATH:
            handler.send(302, b"", Location="/elsewhere")
        else:
            ranged(handler)

    with serving(answer) as server:
        mirror(server.url)
        assert fetch(FILE, target)


def test_an_unreachable_hub(target: Path, mirror: Callable[[str], None]) -> None:
    with socket.socket() as unused:  # bound, but nobody listens
        unused.bind(("127.0.0.1", 0))
        mirror(f"http://127.0.0.1:{unused.getsockname()[1]}")
        error = fails(FILE, target)
    assert error.kind == "network"
    assert "cannot be reached" in str(error)
    assert "LORGNETTE_MODELS_URL" in error.remedy


def test_a_silent_hub(target: Path, mirror: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_READ_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        mirror(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        assert "was silent for 0.2 s" in str(fails(FILE, target))


def test_a_full_disk_is_noticed_before(
    target: Path, mirror: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 1000, 1000))
    with serving(ranged) as server:
        mirror(server.url)
        error = fails(FILE, target)
    assert error.kind == "disk"
    assert "1 MB are needed" in str(error)
    assert not part_of(target).exists()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = fails(FILE, tmp_path / "file" / "x.pt")
    assert error.kind == "disk"


@pytest.mark.parametrize("url", ["nonsense", "ftp://mirror/x", "http://"])
def test_a_mirror_that_is_none(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("LORGNETTE_MODELS_URL", url)
    with pytest.raises(DownloadError, match="LORGNETTE_MODELS_URL is no http address"):
        address(FILE)


def test_without_a_mirror_the_hub_itself_is_asked() -> None:
    assert address(FILE) == FILE.url


def test_only_what_is_missing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_DATA_DIR", str(tmp_path))
    config = RemoteFile("x.pt.json", FILE.url + ".json")
    model = Model("x", "piper", "en", "MIT", (FILE, config))
    folder = tmp_path / "models/piper"
    assert missing_files(model) == [(FILE, folder / "x.pt"), (config, folder / "x.pt.json")]
    folder.mkdir(parents=True)
    (folder / "x.pt").touch()
    assert missing_files(model) == [(config, folder / "x.pt.json")]
