"""Make what a release publishes from firmware builds: merged images, their sums, and a page that flashes by browser.

    python -m hardware.flasher.make_page --version v0.1.0 --out DIR BOARD-idfVERSION...

Each argument is a build folder of that name. Run it from the root of the source tree, with esptool installed. The page
is for ESP Web Tools, which reads one manifest per build. A build-time tool: it is not shipped in the wheel.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..boards import Board, boards
from ..image import CHIP, ImageError, Segment, read_image

LABEL = "Not yet run on a board"
CHIP_FAMILY = "ESP32-S3"  # as ESP Web Tools calls the chip
PAGE = Path(__file__).with_name("index.html")
SUMS = "SHA256SUMS"
_NAME = re.compile(r"(?P<board>\w+)-idf(?P<idf>\d+(\.\d+)*)")
_VERSION = re.compile(r"[\w.-]+")


@dataclass(frozen=True)
class Build:
    """One board's firmware, built by one version of ESP-IDF."""

    name: str  # of its folder
    board: Board
    idf: str
    segments: list[Segment]

    @property
    def title(self) -> str:
        return f"{self.board.name}, built with ESP-IDF {self.idf}"


def read_build(folder: Path) -> Build:
    """A folder named BOARD-idfVERSION. Raises ImageError: no such board, or no firmware in it."""
    found = _NAME.fullmatch(folder.name)
    board = next((board for board in boards() if found and board.id == found["board"]), None)
    if found is None or board is None:
        raise ImageError(f"{folder}: the name is to be BOARD-idfVERSION, with a board of hardware/boards")
    return Build(folder.name, board, found["idf"], read_image(folder))


def manifest(build: Build, version: str) -> dict[str, Any]:
    """What ESP Web Tools reads. Pieces and not the merged image, so that the frame's settings stay where they are."""
    parts = [{"path": f"{build.name}/{s.path.name}", "offset": s.offset} for s in build.segments]
    return {
        "name": f"lorgnette frame on {build.title} ({LABEL.lower()})",
        "version": version,
        "new_install_prompt_erase": True,
        "builds": [{"chipFamily": CHIP_FAMILY, "parts": parts}],
    }


def image_name(build: Build, version: str) -> str:
    return f"lorgnette-frame-{version}-{build.name}.bin"


def merge(build: Build, image: Path) -> None:
    """One file for the whole flash, from its start. Raises CalledProcessError."""
    command = [sys.executable, "-m", "esptool", "--chip", CHIP, "merge-bin", "--output", str(image)]
    for segment in build.segments:
        command += [f"{segment.offset:#x}", str(segment.path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def page(builds: Sequence[Build], version: str) -> str:
    """The HTML page."""
    sections = []
    for build in builds:
        image = html.escape(image_name(build, version))
        sections.append(
            f"<h2>{html.escape(build.title)}</h2>\n"
            f'<esp-web-install-button manifest="{html.escape(build.name)}.json"></esp-web-install-button>\n'
            f'<p><a href="{image}">{image}</a></p>'
        )
    template = string.Template(PAGE.read_text(encoding="utf-8"))
    return template.substitute(label=LABEL, version=html.escape(version), builds="\n".join(sections))


def make(builds: Sequence[Build], version: str, out: Path) -> None:
    """Write everything into the folder `out`, which must not exist."""
    out.mkdir(parents=True)
    sums = []
    for build in builds:
        (out / build.name).mkdir()
        for segment in build.segments:
            shutil.copyfile(segment.path, out / build.name / segment.path.name)
        (out / f"{build.name}.json").write_text(json.dumps(manifest(build, version), indent=2) + "\n", encoding="utf-8")
        image = out / image_name(build, version)
        merge(build, image)
        sums.append(f"{hashlib.sha256(image.read_bytes()).hexdigest()}  {image.name}\n")
    (out / SUMS).write_text("".join(sums), encoding="utf-8")
    (out / PAGE.name).write_text(page(builds, version), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--version", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("builds", type=Path, nargs="+", metavar="BOARD-idfVERSION")
    given = parser.parse_args()
    if not _VERSION.fullmatch(given.version):
        parser.error("a version has letters, digits, dots and dashes")
    try:
        make([read_build(folder) for folder in given.builds], given.version, given.out)
    except (ImageError, OSError, subprocess.CalledProcessError) as error:
        print(f"make_page: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
