"""The simulated frame's camera: JPEG files, or a test picture of our own."""

from __future__ import annotations

from pathlib import Path

from ..faults import SupplyFailed
from .picture import built_in_picture

EXPOSURE_MS = 100


class CameraFailed(Exception):
    """There is no picture to be had. The frame reports it as a failed capture."""


CAMERA_FAULTS = {
    "concatenated": "its buffer holds three pictures in a row, the last one cut",
    "no-eoi": "its picture has no end",
    "null": "it gives no picture",
    "late": "it gives one after seven seconds",
    "brownout": "a photo takes more current than the supply gives",
}
LATE_MS = 7000


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


class FaultyCamera(ImageCamera):
    """A camera that does what CAMERA_FAULTS says of `fault`, with the test picture."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self._fault = fault

    def start(self) -> int:
        return LATE_MS if self._fault == "late" else super().start()

    def take(self) -> bytes:
        """Raises SupplyFailed where the frame does not survive it, else as ImageCamera."""
        picture = super().take()
        match self._fault:
            case "concatenated":
                return 2 * picture + picture[: len(picture) // 2]
            case "no-eoi":
                return picture[:-2]
            case "null":
                raise CameraFailed("no frame buffer")
            case "brownout":
                raise SupplyFailed
        return picture
