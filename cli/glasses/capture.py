"""What `--capture FILE` asked for: the file, a link that is recorded into it, and a pipeline.

One place for every command: a frame is opened with `CAPTURE.make_link()`, a pipeline is made with `CAPTURE.pipeline`.
Without the option both are the plain ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from ..diagnostics import version
from ..text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from ...firmware_bridge.capture.recorder import LinkRecorder
    from ...firmware_bridge.capture.writer import CaptureWriter
    from ...firmware_bridge.link import Link
    from ..assistant.engines.protocols import VoiceActivity
    from ..assistant.pipeline import Pipeline, PipelineSettings
    from ..assistant.world import Engines


class Capture:
    """One per process: `CAPTURE`. The file is made when there is something to write into it."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._command = ""
        self._used = False
        self._writer: CaptureWriter | None = None
        self._recorder: LinkRecorder | None = None

    def ask(self, path: Path, command: str) -> None:
        """Record what `command` does with a frame into `path`, until `close`."""
        self._path, self._command, self._used = path, command, False

    def make_link(self) -> Callable[..., Link]:
        """What makes the links of a device. Raises OSError when the file cannot be made."""
        from ...firmware_bridge.link import Link

        if self._path is None:
            return Link
        return self._opened()[1].make_link

    def writer(self) -> CaptureWriter | None:
        """The file itself, for who talks to a frame without a Link. Raises OSError when it cannot be made."""
        return None if self._path is None else self._opened()[0]

    def pipeline(self, settings: PipelineSettings, vad: VoiceActivity | None, engines: Engines) -> Pipeline:
        """A fresh pipeline. `engines` is what its effects go to. Raises OSError when the file cannot be made."""
        from ..assistant.pipeline import Pipeline

        if self._path is None:
            return Pipeline(settings, vad)
        import time

        from ..assistant.recorded import RecordedPipeline, Step
        from .turn_notes import session_note, step_note

        writer, recorder = self._opened()
        writer.note(session_note(settings, engines.infos()), time.monotonic())

        def on_step(step: Step) -> None:
            writer.note(step_note(step, recorder.heard.at), step.now_s)

        return RecordedPipeline(settings, vad, on_step)

    def close(self) -> None:
        """Finish the file and forget the option. Idempotent."""
        path, writer = self._path, self._writer
        self._path = self._writer = self._recorder = None
        if writer is not None:
            writer.close()
        elif path is not None and not self._used:
            click.echo(f"lorgnette: nothing was captured into {printable(path)}: no frame was opened", err=True)

    def _opened(self) -> tuple[CaptureWriter, LinkRecorder]:
        self._used = True
        if self._writer is None or self._recorder is None:
            from ...firmware_bridge.capture.recorder import LinkRecorder
            from ...firmware_bridge.capture.writer import CaptureWriter

            path = self._path
            assert path is not None

            def warn(reason: str) -> None:
                click.echo(f"lorgnette: the capture {printable(path)} ends here: {printable(reason)}", err=True)

            facts = {"command": self._command}
            self._writer = CaptureWriter(path, f"lorgnette {version()}", facts, warn)
            self._recorder = LinkRecorder(self._writer)
        return self._writer, self._recorder


CAPTURE = Capture()
