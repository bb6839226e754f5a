"""The simulated frame's camera: JPEG files, or a test picture of our own."""

from __future__ import annotations

from pathlib import Path

from .picture import built_in_picture

EXPOSURE_MS = 100


class CameraFailed(Exception):
    """There is no picture to be had. The frame reports it as a failed capture."""


class ImageCamera:
    """Takes the same picture over and over, or one after the other from a folder.

    Args:
        path: a JPEG file, or a folder whose `.jpg` and `.jpeg` files are taken in turn, by name. None: a test picture.

    Attributes:
        taken: how many pictures were.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.taken = 0
        self._path = path

    def start(self) -> int:
        """The sensor goes on: returns the milliseconds until it has a picture and is off again."""
        return EXPOSURE_MS

    def take(self) -> bytes:
        """The next picture, as it lies in its file.

        Raises:
            CameraFailed: the file is gone, or the folder holds no JPEG.
        """
        picture = self.look()
        self.taken += 1
        return picture

    def look(self) -> bytes:
        """The next picture, without taking it.

        Raises:
            CameraFailed: as `take`.
        """
        try:
            return self._next()
        except OSError as error:
            raise CameraFailed(f"{self._path}: {error.strerror}") from error

    def _next(self) -> bytes:
        if self._path is None:
            return built_in_picture()
        if not self._path.is_dir():
            return self._path.read_bytes()
        pictures = sorted(p for p in self._path.iterdir() if p.suffix.lower() in (".jpg", ".jpeg"))
        if not pictures:
            raise CameraFailed(f"{self._path}: no JPEG in this folder")
        return pictures[self.taken % len(pictures)].read_bytes()
