"""Hostile weights, memory banks, saliency caches and sets of features."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import pickle
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from cutswap.config import PatchCoreSettings
from cutswap.networks.weights import state_fingerprint
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.utils.tensor_files import read_tensors
from tests.helpers.tiny_networks import tiny_backbone
from tests.robustness.hostile import EITHER, SOUND, Case, bad_json, damaged, edited, file_of


class Evil:
    """Unpickled it would make a file; that nobody does it is what the tests look for."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("pwned"),)


def torch_file(value: object, *, legacy: bool = False) -> bytes:
    data = io.BytesIO()
    torch.save(value, data, _use_new_zipfile_serialization=not legacy)
    return data.getvalue()


def header(body: dict[str, object] | bytes, data: bytes = b"") -> bytes:
    """A safetensors file by hand."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


STATE = {"conv1.weight": torch.arange(12.0).reshape(2, 6), "conv1.bias": torch.ones(2)}


def weights() -> Iterator[Case]:
    sound = save(STATE)
    legacy = torch_file(STATE, legacy=True)
    yield Case("weights", "sound safetensors", file_of(sound, "w.safetensors"), SOUND)
    yield Case("weights", "sound pth", file_of(torch_file(STATE), "w.pth"), SOUND)
    for name, data in (("w.safetensors", sound), ("w.pth", torch_file(STATE)), ("old.pth", legacy)):
        for damage, bad in damaged(data, 3):
            yield Case("weights", f"{name}, {damage}", file_of(bad, name), EITHER)
    evil = {
        "a pickle": pickle.dumps(Evil()),
        "a torch pickle": torch_file({"conv1.weight": Evil()}),
        "an old torch pickle": torch_file({"conv1.weight": Evil()}, legacy=True),
        "a whole network": torch_file(torch.nn.Linear(2, 2)),
        "text opcodes": b"cos\nsystem\n(S'touch pwned'\ntR.",
        "0 bytes": b"",
        "a text": b"hello",
        "a zip": _zip(),
        "a number": torch_file(3),
        "a list": torch_file([torch.ones(2)]),
        "no tensor": torch_file({"a": 1}),
        "names that are numbers": torch_file({1: torch.ones(2)}),
        "nothing in it": torch_file({}),
    }
    for name, data in evil.items():
        for suffix in (".pth", ".safetensors"):
            yield Case("weights", f"{name} as {suffix}", file_of(data, f"w{suffix}"))
    for name, value in {
        "NaN": torch.tensor([1.0, float("nan")]),
        "infinity": torch.tensor([float("inf")]),
        "half infinity": torch.tensor([float("-inf")]).half(),
        "bfloat NaN": torch.tensor([float("nan")]).bfloat16(),
    }.items():
        yield Case("weights", name, file_of(save({"conv1.weight": value}), "w.safetensors"))
    for name, value in {
        "complex": torch.ones(2, dtype=torch.complex64),
        "sparse": torch.eye(3).to_sparse(),
        "on meta": torch.empty(10**12, device="meta"),
    }.items():
        yield Case("weights", name, file_of(torch_file({"w": value}), "w.pth"))
    # One number seen a hundred thousand million times: any sum over it takes minutes.
    wide = torch.ones(1).expand(10**11)
    yield Case("weights", "one number, 10^11 times", file_of(torch_file({"w": wide}), "w.pth"))
    for name, data in {
        "a header of 2^63 bytes": struct.pack("<Q", 2**63) + b"{}",
        "a header longer than the file": struct.pack("<Q", 10**6) + b"{}",
        "a header of 0 bytes": struct.pack("<Q", 0),
        "a header too deep": header(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
        "a shape of 10^18": header({"w": entry("F32", [10**9, 10**9], 0, 4)}, bytes(4)),
        "a shape beyond 64 bits": header({"w": entry("F32", [2**63, 2], 0, 4)}, bytes(4)),
        "overlapping tensors": header(
            {"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 0, 4)}, bytes(4)
        ),
        "offsets in the wrong order": header({"a": entry("F32", [1], 4, 0)}, bytes(4)),
        "an unknown dtype": header({"a": entry("Q99", [1], 0, 4)}, bytes(4)),
    }.items():
        yield Case("weights", name, file_of(data, "w.safetensors"))
    yield Case("weights", "no tensor at all", file_of(header({}), "w.safetensors"))


def _zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil()))
        archive.writestr("../../pwned", b"x")
    return data.getvalue()


@functools.cache
def bank() -> tuple[bytes, dict[str, torch.Tensor], dict]:
    """A sound bank of a tiny network: its bytes, tensors and header."""
    settings = PatchCoreSettings(layers=("layer1",), image_size=64)
    items = np.random.default_rng(0).normal(size=(6, 16)).astype(np.float32)
    made = MemoryBank(tiny_backbone(), settings, items, np.zeros((6, 3), np.int32), 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank.safetensors"
        made.save(path)
        return path.read_bytes(), *read_tensors(path, fix="")


def resealed(changes: dict[str, torch.Tensor], **about: object) -> bytes:
    """A bank edited by somebody who knew how to mend its hash."""
    _, tensors, said = bank()
    tensors = {**tensors, **changes}
    content = state_fingerprint({name: tensors[name] for name in ("bank", "origin")})
    said = {k: v for k, v in {**said, "content": content, **about}.items() if v is not ...}
    return save(tensors, {"about": json.dumps(said)})


def banks() -> Iterator[Case]:
    sound, tensors, said = bank()
    items = tensors["bank"]
    yield Case("bank", "sound", file_of(sound, "b.safetensors"), SOUND)
    for damage, bad in damaged(sound, 5):
        yield Case("bank", damage, file_of(bad, "b.safetensors"), EITHER)
    yield Case("bank", "a pickle", file_of(pickle.dumps(Evil()), "b.safetensors"))
    yield Case("bank", "no header", file_of(save(tensors), "b.safetensors"))
    for name, text in {"too deep": "[" * 100_000, "a list": "[1]", "no JSON": "{"}.items():
        data = save(tensors, {"about": text})
        yield Case("bank", f"a header that is {name}", file_of(data, "b.safetensors"))
    holed, endless = items.clone(), items.clone()
    holed[2, 3], endless[0, 0] = float("nan"), float("inf")
    for name, value in {
        "NaN in it": holed,
        "infinity in it": endless,
        "no item": items[:0],
        "no column": items[:, :0],
        "one axis": items.flatten(),
        "three axes": items[None],
        "whole numbers": items.long(),
        "float16": items.half(),
        "complex": items.to(torch.complex64),
        "other columns than the network": items[:, :5].contiguous(),
    }.items():
        yield Case("bank", name, file_of(resealed({"bank": value}), "b.safetensors"))
    for name, value in {
        "origins of another number": torch.zeros(2, 3, dtype=torch.int32),
        "origins of two columns": torch.zeros(6, 2, dtype=torch.int32),
        "origins that are fractions": torch.zeros(6, 3),
        "negative origins": torch.full((6, 3), -4, dtype=torch.int32),
    }.items():
        yield Case("bank", name, file_of(resealed({"origin": value}), "b.safetensors"))
    changes: dict[str, object] = {
        "format": "other",
        "settings": 3,
        "seed": "x",
        "backbone": 5,
        "fingerprint": None,
        "content": 7,
    }
    for key, changed in changes.items():
        data = resealed({}, **{key: changed})
        yield Case("bank", f"{key} is {changed!r}", file_of(data, "b.safetensors"))
        yield Case("bank", f"no {key}", file_of(resealed({}, **{key: ...}), "b.safetensors"))
    settings = {**said["settings"], "layers": ["no.such.layer"]}
    yield Case(
        "bank", "a layer there is not", file_of(resealed({}, settings=settings), "b.safetensors")
    )
    gone = {n: v for n, v in tensors.items() if n != "backbone.conv1.weight"}
    data = save(gone, {"about": json.dumps(said)})
    # The reader brings its own network; without one this is refused too (test_memory_bank).
    make = file_of(data, "b.safetensors")
    yield Case("bank", "a network without its first layer", make, EITHER)


def npz(arrays: dict[str, np.ndarray], *, packed: bool = False) -> bytes:
    data = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(data, **arrays)  # type: ignore[arg-type]
    return data.getvalue()


def raw_npz(name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        archive.writestr(name, content)
    return data.getvalue()


def npy(shape: str, dtype: str = "'<f4'", body: bytes = b"") -> bytes:
    """A .npy file whose header says what we like."""
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


BAD_NPY: dict[str, bytes] = {
    "empty": b"",
    "no numpy file": b"hello",
    "a shape of 10^12": npy("(1000000, 1000000)"),
    "a shape of 10^30": npy("(10**30,)"),
    "a shape beyond 64 bits": npy("(18446744073709551616, 2)"),
    "a negative shape": npy("(-4, 4)"),
    "objects, a pickle": npy("(2, 2)", "'|O'", pickle.dumps(Evil())),
    "a dtype of code": npy("(2, 2)", "__import__('os').system('touch pwned')"),
    "a dtype of 2 GB": npy("(2, 2)", "'|V2147483647'"),
    "a header of code": b"\x93NUMPY\x01\x00\x10\x00exec('touch x') \n",
    "a header too deep": b"\x93NUMPY\x02\x00" + struct.pack("<I", 20_000) + b"(" * 20_000,
    "a header of 4 GB": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1),
    "version 9": b"\x93NUMPY\x09\x00" + bytes(80),
}


def caches() -> Iterator[Case]:
    """A damaged cache is made anew: what `saliency_of` answers must be right all the same."""
    sound = npz({f"map_{i}": np.zeros((8, 8), np.float32) for i in range(2)})
    for damage, bad in damaged(sound, 6):
        yield Case("saliency", damage, file_of(bad, "c.npz"), EITHER)
    for name, data in BAD_NPY.items():
        yield Case("saliency", name, file_of(raw_npz("map_0.npy", data), "c.npz"))
    big = {"map_0": np.zeros((2000, 2000), np.float32), "map_1": np.zeros((8, 8), np.float32)}
    yield Case("saliency", "maps larger than the photo", file_of(npz(big), "c.npz"))
    yield Case(
        "saliency",
        "a zip bomb",
        lambda folder: file_of(
            raw_npz(
                "map_0.npy", npy("(15000, 15000)", body=bytes(900_000_000)), zipfile.ZIP_DEFLATED
            ),
            "c.npz",
        )(folder),
        is_heavy=True,
    )
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        data = raw_npz("map_0.npy", npy("(2, 2)", body=bytes(16)), method)
        yield Case("saliency", f"compressed by method {method}", file_of(data, "c.npz"))
    secret = bytearray(sound)
    for at in range(len(secret) - 4):
        if secret[at : at + 4] in (b"PK\x01\x02", b"PK\x03\x04"):
            secret[at + (8 if secret[at + 2] == 1 else 6)] |= 1
    yield Case("saliency", "said to be encrypted", file_of(bytes(secret), "c.npz"))
    for name, value in {
        "NaN": np.full((8, 8), np.nan, np.float32),
        "float64": np.zeros((8, 8)),
        "three axes": np.zeros((2, 8, 8), np.float32),
        "no pixel": np.zeros((0, 8), np.float32),
        "above 1": np.full((8, 8), 7.5, np.float32),
        "below 0": np.full((8, 8), -1, np.float32),
    }.items():
        data = npz({"map_0": value, "map_1": value})
        yield Case("saliency", f"maps of {name}", file_of(data, "c.npz"))


def feature_files() -> tuple[bytes, dict]:
    """Arrays and description of a set of two test photos."""
    arrays = npz(
        {
            "before": np.ones((2, 4), np.float32),
            "after": np.ones((2, 4), np.float32),
            "thumbnails": np.zeros((2, 8, 8, 3), np.uint8),
        }
    )
    point = {
        "kind": "good",
        "name": "test/good/0",
        "file": "0.png",
        "defect": "",
        "mask": None,
        "sample": None,
        "jitter": None,
        "record": None,
    }
    about = {
        "sha256": hashlib.sha256(arrays).hexdigest(),
        "about": {"image_size": 32},
        "points": [point, point],
    }
    return arrays, about


def features() -> Iterator[Case]:
    arrays, about = feature_files()

    def folder_of(data: bytes, said: bytes):  # noqa: ANN202
        def make(folder: Path) -> Path:
            file_of(data, "features.npz")(folder)
            file_of(said, "features.json")(folder)
            return folder

        return make

    yield Case("features", "sound", folder_of(arrays, edited(about)), SOUND)
    yield from bad_json("features", lambda said: folder_of(arrays, said))
    changes: dict[str, object] = {"sha256": ..., "about": 5, "points": [1]}
    for key, value in changes.items():
        yield Case(
            "features", f"{key} is {value!r}", folder_of(arrays, edited(about, **{key: value}))
        )
    for size in (0, -5, 10**9, "x", None, 2.5):
        said = edited(about, about={"image_size": size})
        yield Case("features", f"image_size {size!r}", folder_of(arrays, said))
    point = about["points"][0]
    for key, value in {
        "kind": "x",
        "file": 5,
        "sample": "x",
        "record": {},
        "jitter": [1],
        "mask": 7,
    }.items():
        said = edited(about, points=[{**point, key: value}] * 2)
        yield Case("features", f"a point's {key} is {value!r}", folder_of(arrays, said))
    bodies = {name: raw_npz("before.npy", data) for name, data in BAD_NPY.items()}
    bodies["tables of other lengths"] = npz(
        {
            "before": np.ones((3, 4)),
            "after": np.ones((2, 4)),
            "thumbnails": np.zeros((2, 8, 8, 3), np.uint8),
        }
    )
    bodies["NaN"] = npz(
        {
            "before": np.full((2, 4), np.nan),
            "after": np.ones((2, 4)),
            "thumbnails": np.zeros((2, 8, 8, 3), np.uint8),
        }
    )
    for name, data in bodies.items():
        said = edited(about, sha256=hashlib.sha256(data).hexdigest())
        yield Case("features", f"arrays: {name}", folder_of(data, said))


def cases() -> Iterator[Case]:
    """For the readers `weights`, `bank`, `saliency` and `features`."""
    yield from weights()
    yield from banks()
    yield from caches()
    yield from features()
