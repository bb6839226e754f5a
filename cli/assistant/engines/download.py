"""Fetch one file of a model: resumed where it was interrupted, checked, and in place only when it is whole.

Knows httpx (imported on first use), checksums and the disk. Asks nobody: whoever calls it has shown size and licence
and got a yes. Prints nothing; progress goes to a callback.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

from .catalog import DATA_VARIABLE, Model, RemoteFile, local_paths
from .foreign import network_reason

MIRROR_VARIABLE = "LORGNETTE_MODELS_URL"
PART_SUFFIX = ".part"
_TRIES = 4  # each goes on where the last one broke, and only if that had brought something
_CONNECT_S, _READ_S = 10.0, 30.0
_SPARE_DISK_BYTES = 64 << 20  # left to everybody else
_MAX_BYTES = 8 << 30  # for a server that does not say how much it will send

Progress = Callable[[int, int], None]  # bytes on disk, bytes in all (0: unknown)


class DownloadError(Exception):
    """A file could not be had.

    Attributes:
        kind: "network": nobody answered, or the connection broke; "refused": the hub has no such file or does not give
            it; "integrity": what came is not the file; "disk": no space or no permission.
        remedy: what to do next.
    """

    def __init__(
        self, kind: Literal["network", "refused", "integrity", "disk"], message: str, remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.remedy = remedy


def missing_files(model: Model) -> list[tuple[RemoteFile, Path]]:
    """What has still to be fetched, with the place where it goes."""
    return [(file, path) for file, path in zip(model.files, local_paths(model), strict=True) if not path.is_file()]


def address(file: RemoteFile) -> str:
    """Where the file is fetched from: its own address, or the same path on the mirror of `LORGNETTE_MODELS_URL`.

    Raises:
        DownloadError: the variable holds no address.
    """
    mirror = os.environ.get(MIRROR_VARIABLE, "")
    if not mirror:
        return file.url
    base = urlsplit(mirror)
    if base.scheme not in ("http", "https") or not base.netloc:
        raise DownloadError("network", f"{MIRROR_VARIABLE} is no http address: {mirror!r}", f"unset {MIRROR_VARIABLE}")
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + urlsplit(file.url).path, "", ""))


def fetch(file: RemoteFile, target: Path, progress: Progress = lambda done, total: None) -> bool:
    """Bring `file` to `target`; return whether its checksum was known and right.

    A broken download stays beside the target as `.part` and is resumed by the next call, if there is a checksum that
    would notice a mixture of two versions.

    Raises:
        DownloadError: see its kinds.
    """
    part = target.with_name(target.name + PART_SUFFIX)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not file.sha256:
            part.unlink(missing_ok=True)
        _receive_all(file, part, progress)
        if file.sha256 and _sha256(part) != file.sha256:
            part.unlink()
            raise DownloadError(
                "integrity", f"{file.name} arrived damaged: its checksum is wrong", "it was deleted; try again"
            )
        part.replace(target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some disk space" if full else f"name another folder in {DATA_VARIABLE}"
        raise DownloadError("disk", f"cannot write {target}: {reason.lower()}", remedy) from error
    return bool(file.sha256)


def _receive_all(file: RemoteFile, part: Path, progress: Progress) -> None:
    """Complete the `.part` file, over several connections if need be."""
    import httpx

    url = address(file)
    host = urlsplit(url).netloc
    timeout = httpx.Timeout(_READ_S, connect=_CONNECT_S)
    with httpx.Client(follow_redirects=True, timeout=timeout) as client:
        for attempt in range(1, _TRIES + 1):
            before = _size(part)
            if file.size_bytes and before == file.size_bytes:
                progress(before, before)
                return
            try:
                _receive(client, url, file, part, progress)
                return
            except httpx.HTTPError as error:
                if attempt < _TRIES and _size(part) > before:
                    continue
                raise _broken(error, host, resumable=bool(file.sha256) and _size(part) > 0) from error


def _receive(client: Any, url: str, file: RemoteFile, part: Path, progress: Progress) -> None:
    """One request, from where the `.part` file ends."""
    have = _size(part)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with client.stream("GET", url, headers=headers) as response:
        if url.startswith("https:") and response.url.scheme != "https":
            raise DownloadError("refused", f"{urlsplit(url).netloc} leads to an address without encryption")
        if response.status_code == 416 or (response.status_code == 206 and not _continues(response, have)):
            part.unlink(missing_ok=True)  # what lies here is no beginning of what lies there
            return _receive(client, url, file, part, progress) if have else _refuse(response, url, file)
        if response.status_code == 200:
            have = 0  # this server starts over
        elif response.status_code != 206:
            return _refuse(response, url, file)
        length = response.headers.get("content-length", "")
        total = have + int(length) if length.isdigit() else 0
        if file.size_bytes and total and total != file.size_bytes:
            raise DownloadError(
                "integrity",
                f"{urlsplit(url).netloc} offers {total} bytes for {file.name}, which has {file.size_bytes}",
                "a proxy or a login page may be in between; try another network",
            )
        total = total or file.size_bytes
        _check_space(part.parent, total - have)
        with part.open("ab" if have else "wb") as out:
            for data in response.iter_bytes():
                have += len(data)
                if have > (total or _MAX_BYTES):
                    raise DownloadError("integrity", f"{urlsplit(url).netloc} sends more than {file.name} has")
                out.write(data)
                progress(have, total)
            out.flush()
            os.fsync(out.fileno())
        if total and have < total:
            raise DownloadError("integrity", f"{file.name} ends after {have} of {total} bytes", "try again")
    return None


def _continues(response: Any, have: int) -> bool:
    return str(response.headers.get("content-range", "")).startswith(f"bytes {have}-")


def _refuse(response: Any, url: str, file: RemoteFile) -> None:
    host, status = urlsplit(url).netloc, response.status_code
    if status in (404, 410):
        raise DownloadError("refused", f"{host} has no {file.name} (status {status})", f"it was looked for at {url}")
    raise DownloadError("refused", f"{host} does not give {file.name} (status {status})", "try again later")


def _broken(error: Exception, host: str, *, resumable: bool) -> DownloadError:
    import httpx

    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        message = f"{host} cannot be reached: {network_reason(error)}"
        return DownloadError("network", message, f"check the network, or name a mirror in {MIRROR_VARIABLE}")
    if isinstance(error, httpx.TimeoutException):
        message = f"{host} was silent for {_READ_S:g} s"
    else:
        message = f"the connection to {host} broke: {network_reason(error)}"
    return DownloadError("network", message, "run the same command again" + (": it goes on" if resumable else ""))


def _check_space(folder: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed_bytes + _SPARE_DISK_BYTES > free:
        raise DownloadError(
            "disk", f"{folder} has {free / 1e6:.0f} MB free, and {needed_bytes / 1e6:.0f} MB are needed", "free some"
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
