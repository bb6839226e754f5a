"""Reading checkpoints without torch: real ones, odd ones and hostile ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.support.stand_ins import Pickled, canned_dims, canned_weights, write_archive, write_checkpoint

from lorgnette.cli.assistant.engines import pt_reader
from lorgnette.cli.assistant.engines.checkpoint import embedded_checkpoint
from lorgnette.cli.assistant.engines.protocols import EngineError
from lorgnette.cli.assistant.engines.pt_reader import Array, read_checkpoint

from .conftest import needs_torch

SMALL = np.arange(6, dtype="<f2").reshape(2, 3)


def write_one(path: Path, array: Array = SMALL, **lies: object) -> Path:
    """A checkpoint of one tensor, with a reference to it that may be wrong."""
    structure = Pickled()
    structure.begin_dict()
    structure.text("dims")
    structure.begin_dict()
    for name, number in canned_dims().items():
        structure.text(name)
        structure.integer(number)
    structure.end_dict()
    structure.text("model_state_dict")
    structure.begin_dict()
    structure.text("w")
    structure.tensor("0", array, **lies)  # type: ignore[arg-type]
    structure.end_dict()
    structure.end_dict()
    return write_archive(path, structure.done(), {"0": array})


@needs_torch
def test_the_embedded_checkpoint_reads_as_torch_reads_it() -> None:
    import torch

    path = embedded_checkpoint().path
    ours = read_checkpoint(path)
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    assert dict(ours.dims) == theirs["dims"]
    assert set(ours.weights) == set(theirs["model_state_dict"])
    for name, tensor in theirs["model_state_dict"].items():
        np.testing.assert_array_equal(ours.weights[name], tensor.numpy(), err_msg=name)


@needs_torch
@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32"])
def test_what_torch_writes_is_read(tmp_path: Path, kind: str) -> None:
    import torch

    base = torch.arange(24, dtype=getattr(torch, kind)).reshape(4, 6)
    state = {"plain": base, "turned": base.T, "part": base[1:3, 2:5], "shared": base, "scalar": base[0, 0]}
    state["parameter"] = torch.nn.Parameter(base.clone())
    torch.save({"dims": canned_dims(), "model_state_dict": state}, tmp_path / "w.pt")
    read = read_checkpoint(tmp_path / "w.pt")
    for name, tensor in state.items():
        np.testing.assert_array_equal(read.weights[name], tensor.detach().float().numpy(), err_msg=name)


@needs_torch
def test_torch_reads_the_stand_in(tmp_path: Path) -> None:
    """The stand-in is what torch.save would have written, so that a test with it says something about real files."""
    import torch

    weights = canned_weights([1000, 2000])
    path = write_checkpoint(tmp_path / "w.pt", canned_dims(), weights)
    read = torch.load(path, weights_only=True)
    for name, weight in weights.items():
        np.testing.assert_array_equal(read["model_state_dict"][name].numpy(), weight)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_stored_and_deflated_members_are_read(tmp_path: Path, compression: int) -> None:
    path = write_checkpoint(tmp_path / "w.pt", canned_dims(), {"w": SMALL}, compression)
    read = read_checkpoint(path)
    np.testing.assert_array_equal(read.weights["w"], SMALL)
    assert read.dims["n_vocab"] == 51_864
    assert not read.multilingual


@pytest.mark.parametrize(
    ("lies", "said"),
    [
        ({"shape": (3, 3)}, "beyond its data"),
        ({"offset": 1}, "beyond its data"),
        ({"offset": -1}, "impossible shape"),
        ({"stride": (-3, 1)}, "impossible shape"),
        ({"stride": (1,)}, "impossible shape"),
        ({"shape": (2**31 - 1, 2**31 - 1), "stride": (0, 1)}, "beyond its data"),
        ({"count": 7}, "has 6 elements, not 7"),
    ],
)
def test_a_reference_beyond_its_tensor_is_refused(tmp_path: Path, lies: dict[str, object], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        read_checkpoint(write_one(tmp_path / "w.pt", **lies))


def test_a_repeated_element_cannot_grow_without_limit(tmp_path: Path) -> None:
    """Stride 0 makes one number look like any number of them."""
    with pytest.raises(EngineError, match="more elements than its data"):
        read_checkpoint(write_one(tmp_path / "w.pt", shape=(2**20, 2**20), stride=(0, 0)))


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    structure = Pickled()
    structure.call("os", "system", f"touch {victim}")
    with pytest.raises(EngineError, match=r"asks for os\.system"):
        read_checkpoint(write_archive(tmp_path / "w.pt", structure.done(), {}))
    assert not victim.exists()


@pytest.mark.parametrize("name", [("builtins", "eval"), ("torch", "load"), ("torch.serialization", "HalfStorage")])
def test_no_other_name_is_looked_up(tmp_path: Path, name: tuple[str, str]) -> None:
    structure = Pickled()
    structure.call(*name, "1")
    with pytest.raises(EngineError, match="which no Whisper needs"):
        read_checkpoint(write_archive(tmp_path / "w.pt", structure.done(), {}))


def test_an_oversized_member_is_not_even_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pt_reader, "MAX_TENSOR_BYTES", 11)
    with pytest.raises(EngineError, match=r"data/0 is larger than any Whisper's"):
        read_checkpoint(write_one(tmp_path / "w.pt"))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"<html>Sign in</html>", b"\x80\x02}q\x00.", b"\0" * 4096], ids=range(5)
)
def test_what_is_no_checkpoint_is_said_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="is no readable Whisper checkpoint"):
        read_checkpoint(path)


def test_a_cut_or_damaged_file_is_an_error_and_nothing_else(tmp_path: Path) -> None:
    whole = embedded_checkpoint().path.read_bytes()
    path = tmp_path / "w.pt"
    rng = np.random.default_rng(1)
    for at in (100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:at])
        with pytest.raises(EngineError):
            read_checkpoint(path)
    for at in rng.integers(0, 20_000, 20):  # the pickle stands at the front
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(EngineError):
            read_checkpoint(path)


def test_a_file_with_other_content_is_refused(tmp_path: Path) -> None:
    structure = Pickled()
    structure.begin_dict()
    structure.text("weights")
    structure.integer(1)
    structure.end_dict()
    with pytest.raises(EngineError, match="no 'dims' and 'model_state_dict'"):
        read_checkpoint(write_archive(tmp_path / "w.pt", structure.done(), {}))
    short = {name: number for name, number in canned_dims().items() if name != "n_vocab"}
    with pytest.raises(EngineError, match="no dimension n_vocab"):
        read_checkpoint(write_checkpoint(tmp_path / "w.pt", short, {"w": SMALL}))
