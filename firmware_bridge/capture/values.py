"""Python values as JSON and back: the arguments of a call, an event, an error.

A dataclass or an exception becomes `{"is": its class, ...its fields}`, an enum's member `{"is": its class, "name":
...}`. Only classes that a `Values` was given come back, so a file cannot name any other.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum, IntFlag
from types import ModuleType
from typing import Any

from ..errors import CaptureError

Plain = Any  # what json.dumps takes


class Values:
    """The classes of some modules, to and from JSON."""

    def __init__(self, *modules: ModuleType) -> None:
        self._classes: dict[str, type] = {}
        for module in modules:
            for name, kind in vars(module).items():
                if inspect.isclass(kind) and (is_dataclass(kind) or issubclass(kind, Enum | Exception)):
                    self._classes[name] = kind

    def encode(self, value: object, *, whole: bool = True) -> Plain:
        """Never raises: what has no form here is written as the text of it, and cannot be read back.

        Args:
            whole: write octets whole. Otherwise their length and CRC-32 stand for them, enough to compare.
        """
        if value is None or isinstance(value, bool | str):
            return str(value) if isinstance(value, Enum) else value
        if isinstance(value, IntFlag):
            return int(value)
        if isinstance(value, Enum):
            return {"is": type(value).__name__, "name": value.name}
        if isinstance(value, int | float):
            return value
        if isinstance(value, bytes | bytearray):
            return _octets(bytes(value), whole)
        if isinstance(value, Mapping):
            return {"is": "map", "items": {str(key): self.encode(item, whole=whole) for key, item in value.items()}}
        if isinstance(value, list | tuple):
            return [self.encode(item, whole=whole) for item in value]
        if is_dataclass(value) and not isinstance(value, type):
            kind, held = type(value), {field.name: getattr(value, field.name) for field in fields(value)}
        elif isinstance(value, Exception) and (known := self._known_error(value)) is not None:
            given = inspect.signature(known).parameters
            kind, held = known, {"message": str(value), **{n: item for n, item in vars(value).items() if n in given}}
        else:
            return {"is": "unknown", "text": repr(value)[:200]}
        return {"is": kind.__name__, **{name: self.encode(item, whole=whole) for name, item in held.items()}}

    def _known_error(self, error: Exception) -> type | None:
        """Its class, or the nearest above it: a transport may have errors of its own."""
        return next((kind for kind in type(error).__mro__ if self._classes.get(kind.__name__) is kind), None)

    def decode(self, plain: Plain) -> Any:
        """The value again. Raises CaptureError for whatever `encode` would not have written whole."""
        if plain is None or isinstance(plain, bool | str | int | float):
            return plain
        if isinstance(plain, list):
            return [self.decode(item) for item in plain]
        if not isinstance(plain, dict) or not isinstance(kind := plain.get("is"), str):
            raise CaptureError(f"The capture holds a value without a kind: {str(plain)[:60]}")
        held = {str(name): item for name, item in plain.items() if name != "is"}
        if kind == "map" and isinstance(items := held.get("items"), dict):
            return {str(name): self.decode(item) for name, item in items.items()}
        if kind == "bytes" and isinstance(text := held.get("base64"), str):
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError) as error:
                raise CaptureError("The capture holds octets that are no base64.") from error
        cls = self._classes.get(kind)
        if cls is None:
            raise CaptureError(f"The capture holds a {kind[:60]}, which this version does not know.")
        try:
            return cls[held["name"]] if issubclass(cls, Enum) else cls(**{n: self.decode(v) for n, v in held.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise CaptureError(f"The capture holds a {kind} that does not fit this version: {error!r}") from error


def _octets(data: bytes, whole: bool) -> Plain:
    if whole:
        return {"is": "bytes", "base64": base64.b64encode(data).decode("ascii")}
    return {"is": "bytes", "size": len(data), "crc32": zlib.crc32(data)}
