"""`lorgnette models list|pull|path|rm`: the weights and voices that can be downloaded, and those that are here.

Nothing is fetched before its size and licence were shown and somebody said yes.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import Failure
from ..exit_codes import ExitCode
from ..options import Group, diagnostics_options, json_option, offline_option
from ..text import printable

if TYPE_CHECKING:
    from ..assistant.engines.catalog import Model
    from ..assistant.engines.download import Progress

SCHEMA = 1
_CODES = {
    "network": ExitCode.NETWORK,
    "refused": ExitCode.NETWORK,
    "integrity": ExitCode.NETWORK,
    "disk": ExitCode.FAILURE,
}


@click.group(
    cls=Group,
    examples=[
        ("lorgnette models list", "what there is, what is here, what is used"),
        ("lorgnette models pull base.en", "hear any English sentence, not only commands"),
        ("lorgnette models pull en_US-ljspeech-medium", "a natural voice"),
    ],
)
def models() -> None:
    """List, download and remove Whisper weights and Piper voices.

    LORGNETTE_DATA_DIR names another folder for them, LORGNETTE_MODELS_URL a mirror to fetch them from.
    """


@models.command(name="list")
@json_option
@diagnostics_options
def list_(as_json: bool) -> None:
    """Print every model: size, licence, and whether it is downloaded."""
    from ..assistant.engines.catalog import MODELS, is_present, local_paths, models_folder
    from ..assistant.engines.checkpoint import EMBEDDED, embedded_checkpoint

    used = _engines_used()
    in_use = {engine["model"] for engine in used if "model" in engine}
    embedded = embedded_checkpoint()
    rows: list[dict[str, object]] = [
        {
            "name": EMBEDDED,
            "kind": "whisper",
            "language": "en",
            "size_bytes": embedded.path.stat().st_size,
            "licence": "ships with lorgnette; hears its commands",
            "verified": True,
            "present": True,
            "in_use": EMBEDDED in in_use,
            "path": str(embedded.path),
        }
    ]
    for model in MODELS.values():
        rows.append(
            {
                "name": model.name,
                "kind": model.kind,
                "language": model.language or "many",
                "size_bytes": model.size_bytes,
                "licence": model.licence,
                "verified": model.verified,
                "present": is_present(model),
                "in_use": is_present(model) and model.name in in_use,
                "path": str(local_paths(model)[0]),
            }
        )
    if as_json:
        content = {"schema": SCHEMA, "folder": str(models_folder()), "models": rows, "engines": used}
        click.echo(json.dumps(content, indent=2))
        return
    for row in rows:
        state = "used" if row["in_use"] else "here" if row["present"] else "-"
        size = _megabytes(int(str(row["size_bytes"])))
        cells = f"{row['name']:<22} {row['kind']:<8} {row['language']:<5} {size:>8}  {state:<5} {row['licence']}"
        click.echo(printable(cells).rstrip())
    for engine in used:
        if "problem" in engine:
            click.echo(f"lorgnette: {printable(engine['problem'])}", err=True)


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@offline_option
@diagnostics_options
def pull(names: tuple[str, ...], yes: bool, offline: bool) -> None:
    """Download models. Says size and licence first, and asks; goes on where an earlier download stopped."""
    from ..assistant.engines.checkpoint import EMBEDDED

    for model in [
        _model(name) for name in names if name != EMBEDDED
    ]:  # every name is checked before the first download
        pull_model(model, yes=yes, offline=offline)
    if EMBEDDED in names:
        click.echo(f"{EMBEDDED} is built in: there is nothing to download", err=True)


@models.command()
@click.argument("name", required=False)
@diagnostics_options
def path(name: str | None) -> None:
    """Print where a model lies, or the folder of all of them. Fails if the model is not here."""
    from ..assistant.engines.catalog import is_present, local_paths, models_folder
    from ..assistant.engines.checkpoint import EMBEDDED, embedded_checkpoint

    if name is None:
        click.echo(str(models_folder()))
    elif name == EMBEDDED:
        click.echo(str(embedded_checkpoint().path))
    else:
        model = _model(name)
        if not is_present(model):
            raise Failure(f"{name} is not downloaded", f"lorgnette models pull {name}")
        click.echo(str(local_paths(model)[0]))


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@diagnostics_options
def rm(names: tuple[str, ...], yes: bool) -> None:
    """Delete downloaded models, with what was made of them."""
    from ..assistant.engines.checkpoint import EMBEDDED

    if EMBEDDED in names:
        raise Failure("the embedded recogniser is a part of lorgnette and stays", code=ExitCode.USAGE)
    for model in [_model(name) for name in names]:
        _remove(model, yes=yes)


def _model(name: str) -> Model:
    """The model that the command line names. Raises Failure with the nearest name."""
    from ..assistant.engines.catalog import find_model
    from ..assistant.engines.protocols import EngineError

    try:
        return find_model(name)
    except EngineError as error:
        raise Failure(str(error), error.remedy, ExitCode.USAGE) from error


def pull_model(model: Model, *, yes: bool, offline: bool) -> None:
    """Download one model after its size and licence were shown and somebody agreed.

    Raises:
        Failure: forbidden by --offline, refused by the user, or the download failed.
    """
    from ..assistant.engines.catalog import local_paths
    from ..assistant.engines.download import DownloadError, fetch, missing_files

    missing = missing_files(model)
    if not missing:
        click.echo(f"{model.name} is already here: {local_paths(model)[0]}", err=True)
        return
    if offline:
        raise Failure(f"{model.name} is not downloaded, and --offline forbids it", code=ExitCode.OFFLINE)
    size = sum(file.size_bytes for file, _ in missing)
    click.echo(f"{model.name}: {_megabytes(size)}, licence: {model.licence}", err=True)
    if not yes and not click.confirm("Download it?", err=True):
        raise Failure(f"{model.name} was not downloaded")
    for file, target in missing:
        try:
            with _bar(file.name, file.size_bytes) as progress:
                verified = fetch(file, target, progress)
        except DownloadError as error:
            raise Failure(str(error), error.remedy, _CODES[error.kind]) from error
        if not verified:
            click.echo(f"{file.name}: not verified, no checksum is published", err=True)
    click.echo(str(local_paths(model)[0]))


@contextlib.contextmanager
def _bar(name: str, size_bytes: int) -> Iterator[Progress]:
    """A progress bar on standard error; off a terminal, one line."""
    if not sys.stderr.isatty():
        click.echo(f"fetching {name}", err=True)
        yield lambda done, total: None
        return
    with click.progressbar(length=size_bytes or 1, label=name, file=sys.stderr, show_pos=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total or max(done, 1)
            bar.update(done - bar.pos)

        yield progress


def _remove(model: Model, *, yes: bool) -> None:
    from ..assistant.engines.catalog import local_paths
    from ..assistant.engines.download import PART_SUFFIX

    files = [path for target in local_paths(model) for path in (target, Path(f"{target}{PART_SUFFIX}"))]
    here = [path for path in files if path.exists()]
    if not here:
        click.echo(f"{model.name} is not here", err=True)
        return
    size = _megabytes(sum(path.stat().st_size for path in here))
    if not yes and not click.confirm(f"Delete {model.name} ({size})?", err=True):
        raise Failure(f"{model.name} was kept")
    for path in here:
        path.unlink()
    if model.kind == "whisper":
        from ..assistant.engines.ct2_convert import forget

        forget(model.name)
    click.echo(f"{model.name} is deleted", err=True)


def _engines_used() -> list[dict[str, str]]:
    """What the settings choose, or why they choose nothing."""
    from ..assistant.engines.choose import describe
    from ..assistant.engines.protocols import EngineError
    from ..config import load

    found: list[dict[str, str]] = []
    for item in describe(load().settings):
        if isinstance(item, EngineError):
            found.append({"role": item.stage, "problem": str(item), "remedy": item.remedy})
        else:
            found.append({"role": item.role, "engine": item.engine, "model": item.model})
    return found


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes < 10_000_000 else f"{size_bytes / 1e6:.0f} MB"
