"""Write the C header, the Python messages and the vectors from `schema.toml`; `--check` only compares.

The vectors are append-only: a record that the table does not have yet gets one, those that are there stay as they are
and must still read as they say (fields that were added since read as zeros).

This is a build-time tool of the source tree: it is not shipped in the wheel and imports nothing of the package.

    python firmware_bridge/generate.py [--check]
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "firmware_bridge/schema.toml"
C_HEADER = ROOT / "hardware/firmware/components/glink/include/glink_schema.h"
PY_MODULE = ROOT / "firmware_bridge/messages.py"
VECTORS = ROOT / "tests/vectors/messages.json"

SIZES = {"u8": 1, "i16": 2, "u16": 2, "u32": 4, "u64": 8}
STRUCT = {"u8": "B", "i16": "h", "u16": "H", "u32": "I", "u64": "Q"}
C_TYPES = {"u8": "uint8_t", "i16": "int16_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t"}


@dataclass(frozen=True)
class Field:
    name: str
    kind: str  # u8 .. u64, bytes, text, tail
    size: int  # octets on the wire; 0 for a tail

    @classmethod
    def parse(cls, name: str, spec: str) -> Field:
        if spec in SIZES:
            return cls(name, spec, SIZES[spec])
        if spec == "tail":
            return cls(name, spec, 0)
        if match := re.fullmatch(r"(bytes|text)(\d+)", spec):
            return cls(name, match[1], int(match[2]))
        raise SystemExit(f"{SCHEMA}: field {name!r} has the unknown type {spec!r}")


@dataclass(frozen=True)
class Record:
    """One struct on the wire: a message, or the arguments or the result of a method."""

    name: str
    fields: tuple[Field, ...]
    doc: str
    channel: str | None = None
    type_id: int | None = None
    method_id: int | None = None

    @property
    def fixed_size(self) -> int:
        return sum(f.size for f in self.fields)

    @property
    def tail(self) -> Field | None:
        return self.fields[-1] if self.fields and self.fields[-1].kind == "tail" else None


def records(schema: dict[str, Any]) -> list[Record]:
    out = []
    for m in schema["message"]:
        fields = tuple(Field.parse(*f) for f in m["fields"])
        out.append(
            Record(m["name"], fields, f"{m['channel']} channel, sent by {m['from']}.", m["channel"], m.get("id"))
        )
    for m in schema["method"]:
        for part, doc in (("args", "Arguments"), ("result", "Result")):
            fields = tuple(Field.parse(*f) for f in m[part])
            if fields:
                suffix = "Args" if part == "args" else "Result"
                out.append(Record(m["name"] + suffix, fields, f"{doc} of {m['name']}.", method_id=m["id"]))
    for r in out:
        if any(f.kind == "tail" for f in r.fields[:-1]):
            raise SystemExit(f"{SCHEMA}: {r.name}: a tail must be the last field")
    return out


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def schema_hash(text: str) -> int:
    """CRC-32 of the table without comments and blank space, so that prose may change freely."""
    lines = [re.sub(r"\s*#.*", "", line).strip() for line in text.splitlines()]
    return zlib.crc32("\n".join(line for line in lines if line).encode())


# ---------------------------------------------------------------------------------------- C
def c_struct(r: Record) -> str:
    name = f"glink_{snake(r.name)}"
    body, pack, unpack = [], [], []
    at = 0
    if r.type_id is not None:
        pack.append(f"    out[0] = {r.type_id}u;")
        at = 1
    start = at
    for f in r.fields:
        if f.kind == "tail":
            body += [f"    const uint8_t *{f.name}; /* not copied */", f"    size_t {f.name}_len;"]
            pack += [f"    for (size_t i = 0; i < m->{f.name}_len; i++) out[{at}u + i] = m->{f.name}[i];"]
            unpack += [
                f"    m->{f.name} = n > {at - start}u ? in + {at - start}u : in;",
                f"    m->{f.name}_len = n > {at - start}u ? n - {at - start}u : 0u;",
            ]
        elif f.kind in ("bytes", "text"):
            body.append(f"    {'char' if f.kind == 'text' else 'uint8_t'} {f.name}[{f.size}];")
            cast = "(uint8_t)" if f.kind == "text" else ""
            back = "(char)" if f.kind == "text" else ""
            pack.append(f"    for (size_t i = 0; i < {f.size}u; i++) out[{at}u + i] = {cast}m->{f.name}[i];")
            value = f"{back}glink_get(in, n, {at - start}u + i)"
            unpack.append(f"    for (size_t i = 0; i < {f.size}u; i++) m->{f.name}[i] = {value};")
        else:
            body.append(f"    {C_TYPES[f.kind]} {f.name};")
            for i in range(f.size):
                shift = f" >> {8 * i}" if i else ""
                pack.append(f"    out[{at + i}u] = (uint8_t)(m->{f.name}{shift});")
            parts = []
            wide = "uint64_t" if f.kind == "u64" else "uint32_t"
            for i in range(f.size):
                shift = f" << {8 * i}" if i else ""
                parts.append(f"(({wide})glink_get(in, n, {at - start + i}u){shift})")
            unpack.append(f"    m->{f.name} = ({C_TYPES[f.kind]})({' | '.join(parts)});")
        at += f.size
    tail = f" + m->{r.tail.name}_len" if r.tail else ""
    lines = [f"/* {r.doc} */"]
    if r.type_id is not None:
        lines.append(f"#define GLINK_TYPE_{snake(r.name).upper()} {r.type_id}u")
    lines += [
        f"#define GLINK_{snake(r.name).upper()}_BYTES {at}u /* tail excluded, type octet included */",
        f"typedef struct {name} {{",
        *body,
        f"}} {name}_t;",
        "/* Returns the octets written, 0 when they exceed `cap`. */",
        f"static inline size_t {name}_pack(const {name}_t *m, uint8_t *out, size_t cap) {{",
        f"    const size_t total = {at}u{tail};",
        "    if (total > cap) return 0u;",
        *pack,
        "    return total;",
        "}",
        "/* `in` is what follows the type octet, if the message has one; what is missing reads as zeros. */",
        f"static inline void {name}_unpack({name}_t *m, const uint8_t *in, size_t n) {{",
        *unpack,
        "}",
        "",
    ]
    return "\n".join(lines)


def c_header(schema: dict[str, Any], recs: list[Record], digest: int) -> str:
    out = [
        "/* Generated by firmware_bridge/generate.py from firmware_bridge/schema.toml. Do not edit. */",
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "#ifndef GLINK_SCHEMA_H",
        "#define GLINK_SCHEMA_H",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        f"#define GLINK_SCHEMA_HASH 0x{digest:08x}u",
    ]
    for key, value in schema["protocol"].items():
        out.append(f"#define GLINK_{key.upper()} {value}u")
    out.append("")
    for table in ("channels", "windows", "capabilities"):
        prefix = {"channels": "CHAN", "windows": "WINDOW", "capabilities": "CAP"}[table]
        for key, value in schema[table].items():
            shown = f"(1u << {value})" if table == "capabilities" else f"{value}u"
            out.append(f"#define GLINK_{prefix}_{key.upper()} {shown}")
        out.append("")
    for key, value in schema["flags"].items():
        out.append(f"#define GLINK_FLAG_{key.upper()} 0x{value:02x}u")
    out.append("")
    for enum, members in schema["enums"].items():
        for key, value in members.items():
            out.append(f"#define GLINK_{enum.upper()}_{key.upper()} {value}u")
        out.append("")
    for m in schema["method"]:
        out.append(f"#define GLINK_METHOD_{snake(m['name']).upper()} {m['id']}u")
    out += [
        "",
        "static inline uint8_t glink_get(const uint8_t *in, size_t n, size_t at) "
        "{ return at < n ? in[at] : (uint8_t)0; }",
        "",
    ]
    out += [c_struct(r) for r in recs]
    out += ["#endif", ""]
    return "\n".join(out)


# ----------------------------------------------------------------------------------- Python
PY_HEAD = '''"""The wire's messages. Generated by `firmware_bridge/generate.py` from `schema.toml`. Do not edit.

Every message packs to and unpacks from the octets that follow its type octet (`TYPE`, where its channel has
types). A short payload reads as zeros, an extra tail is ignored. Integers are little-endian and unsigned.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import ClassVar, Self


class Message:
    """Base of every generated message."""

    CHANNEL: ClassVar[int | None] = None
    TYPE: ClassVar[int | None] = None

    def pack(self) -> bytes:
        """Octets of the fields, type octet excluded."""
        raise TypeError("Message is abstract")

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read the fields from `data` (type octet excluded)."""
        raise TypeError("Message is abstract")


def _text(raw: bytes) -> str:
    """NUL-padded ASCII from the wire; anything that a terminal could act on becomes `?`."""
    return "".join(chr(c) if 32 <= c < 127 else "?" for c in raw.split(b"\\0", 1)[0])

'''


WIDTH = 120  # as `ruff format` is configured, so that its output and ours agree


def py_call(indent: int, head: str, args: list[str], end: str = ")") -> list[str]:
    """`head(args)` as `ruff format` would break it over lines; `head` ends with its opening bracket."""
    pad = " " * indent
    flat = f"{pad}{head}{', '.join(args)}{end}"
    if len(flat) <= WIDTH:
        return [flat]
    inner = f"{pad}    {', '.join(args)}"
    if len(inner) <= WIDTH:
        return [pad + head, inner, pad + end]
    return [pad + head, *(f"{pad}    {arg}," for arg in args), pad + end]


def py_unpack(r: Record) -> list[str]:
    fixed = r.fixed_size
    read = f'cls._FIXED.unpack(data[:{fixed}].ljust({fixed}, b"\\0"))'
    if not any(f.kind in ("text", "tail") for f in r.fields):
        return py_call(8, "return cls(", [f"*{read}"])
    tail = [f"data[{fixed}:]"] if r.tail else []
    names = [f.name for f in r.fields if f.kind != "tail"]
    values = [f"_text({f.name})" if f.kind == "text" else f.name for f in r.fields if f.kind != "tail"]
    into = [f"        {f'({names[0]},)' if len(names) == 1 else ', '.join(names)} = {read}"]
    if len(into[0]) > WIDTH:
        into = ["        (", *(f"            {name}," for name in names), f"        ) = {read}"]
    return [*into, *py_call(8, "return cls(", values + tail)]


def py_class(r: Record, schema: dict[str, Any]) -> str:
    fmt = "<" + "".join(STRUCT.get(f.kind, f"{f.size}s") for f in r.fields if f.kind != "tail")
    lines = ["@dataclass(frozen=True, slots=True)", f"class {r.name}(Message):", f'    """{r.doc}"""', ""]
    if r.channel is not None:
        lines.append(f"    CHANNEL: ClassVar[int | None] = {schema['channels'][r.channel]}")
    if r.type_id is not None:
        lines.append(f"    TYPE: ClassVar[int | None] = {r.type_id}")
    lines += [f'    _FIXED: ClassVar[struct.Struct] = struct.Struct("{fmt}")', ""]
    for f in r.fields:
        kind = {"tail": 'bytes = b""', "bytes": f"bytes = bytes({f.size})", "text": 'str = ""'}.get(f.kind, "int = 0")
        lines.append(f"    {f.name}: {kind}")
    args = []
    for f in r.fields:
        if f.kind == "text":
            args.append(f'self.{f.name}.encode("ascii", "replace")')
        elif f.kind != "tail":
            args.append(f"self.{f.name}")
    tail = f" + self.{r.tail.name}" if r.tail else ""
    lines += ["", "    def pack(self) -> bytes:", *py_call(8, "return self._FIXED.pack(", args, f"){tail}")]
    lines += ["", "    @classmethod", "    def unpack(cls, data: bytes) -> Self:", *py_unpack(r), "", ""]
    return "\n".join(lines)


def py_module(schema: dict[str, Any], recs: list[Record], digest: int) -> str:
    out = [PY_HEAD, f"SCHEMA_HASH = 0x{digest:08X}"]
    for key, value in schema["protocol"].items():
        out.append(f"{key.upper()} = {value}")
    out += ["", ""]
    for name, table, base in (
        ("Channel", "channels", "IntEnum"),
        ("Window", "windows", "IntEnum"),
        ("Flag", "flags", "IntFlag"),
    ):
        out.append(f"class {name}({base}):")
        if name == "Window":
            out.append('    """Slots of the receiver\'s queue, by channel."""\n')
        out += [f"    {k.upper()} = {v}" for k, v in schema[table].items()]
        out += ["", ""]
    out.append("class Capability(IntFlag):")
    out += [f"    {k.upper()} = 1 << {v}" for k, v in schema["capabilities"].items()]
    out += ["", ""]
    for enum, members in schema["enums"].items():
        out.append(f"class {''.join(p.title() for p in enum.split('_'))}(IntEnum):")
        out += [f"    {k.upper()} = {v}" for k, v in members.items()]
        out += ["", ""]
    out.append("class Method(IntEnum):")
    out += [f"    {snake(m['name']).upper()} = {m['id']}" for m in schema["method"]]
    out += ["", ""]
    out += [py_class(r, schema) for r in recs]
    out.append("# (channel, type octet) -> message, for the channels whose payloads start with a type octet")
    out.append("TYPED: dict[tuple[int, int], type[Message]] = {")
    out += [
        f"    ({schema['channels'][r.channel]}, {r.type_id}): {r.name},"
        for r in recs
        if r.channel and r.type_id is not None
    ]
    out += ["}", "# channel -> message, for the channels that carry one kind"]
    out.append("UNTYPED: dict[int, type[Message]] = {")
    out += [f"    {schema['channels'][r.channel]}: {r.name}," for r in recs if r.channel and r.type_id is None]
    out += ["}", "RESULTS: dict[int, type[Message]] = {"]
    out += [f"    {r.method_id}: {r.name}," for r in recs if r.method_id is not None and r.name.endswith("Result")]
    out += ["}", ""]
    return "\n".join(out)


# ---------------------------------------------------------------------------------- vectors
def sample(r: Record, f: Field) -> int | str:
    """A value for a field that no other field has: octets as hex, text as it is."""
    seed = zlib.crc32(f"{r.name}.{f.name}".encode())
    if f.kind == "text":
        return f"{f.name[: f.size - 4]}-{seed % 1000}"[: f.size]
    if f.kind in ("bytes", "tail"):
        return seed.to_bytes(4, "big").hex() * ((f.size or 8) // 4)
    value = seed & ((1 << 8 * f.size) - 1)
    return value - (1 << 8 * f.size) if f.kind.startswith("i") and value >> (8 * f.size - 1) else value


def octets(f: Field, value: int | str) -> bytes:
    if isinstance(value, int):
        return value.to_bytes(f.size, "little", signed=f.kind.startswith("i"))
    return value.encode("ascii").ljust(f.size, b"\0") if f.kind == "text" else bytes.fromhex(value)


def payload(r: Record, fields: dict[str, int | str]) -> str:
    """What these fields look like on the wire; those that are missing, at the end, are not there."""
    body = b"".join(octets(f, fields[f.name]) for f in r.fields if f.name in fields)
    return ((b"" if r.type_id is None else bytes((r.type_id,))) + body).hex()


def with_vectors(text: str, recs: list[Record]) -> str:
    """The vectors' file with one more line for every record that has none. Refuses what no longer reads the same."""
    table, by_name = json.loads(text), {r.name: r for r in recs}
    for v in table["messages"]:
        names = [f.name for f in by_name[v["message"]].fields]
        if (
            names[: len(v["fields"])] != list(v["fields"])
            or payload(by_name[v["message"]], v["fields"]) != v["payload"]
        ):
            raise SystemExit(
                f"{VECTORS}: the vector {v['name']!r} no longer reads as it says: fields may only be added"
            )
    known = {v["message"] for v in table["messages"]}
    lines = []
    for r in recs:
        if r.name not in known:
            fields = {f.name: sample(r, f) for f in r.fields}
            record = {"name": r.name, "message": r.name, "fields": fields, "payload": payload(r, fields)}
            lines.append(f"  {json.dumps(record)}")
    if not lines:
        return text
    head, end, tail = text.partition('\n ],\n "framing"')
    return ",\n".join([head, *lines]) + end + tail


def main() -> int:
    text = SCHEMA.read_text(encoding="utf-8")
    schema = tomllib.loads(text)
    recs, digest = records(schema), schema_hash(text)
    stale = []
    for path, new in (
        (C_HEADER, c_header(schema, recs, digest)),
        (PY_MODULE, py_module(schema, recs, digest)),
        (VECTORS, with_vectors(VECTORS.read_text(encoding="utf-8"), recs)),
    ):
        if not path.exists() or path.read_text(encoding="utf-8") != new:
            stale.append(path)
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8", newline="\n")
    for path in stale:
        print(f"{'stale' if '--check' in sys.argv else 'wrote'}: {path.relative_to(ROOT)}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
