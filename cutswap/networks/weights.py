"""Where a backbone's numbers come from, read without ever running code from the file.

`embedded` (this project's own, in `assets/weights`), `imagenet` (torchvision's, from its cache or
a download), `random`, or a path: a `.safetensors` or `.pth` state dict, or a run folder.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cutswap.errors import CutSwapError, MissingWeightsError, first_names
from cutswap.installation.shipped import assets, how_to_restore
from cutswap.networks.lean_torchvision import import_torchvision
from cutswap.networks.timm_networks import is_timm
from cutswap.utils.files import read_json, sha256_of
from cutswap.utils.folder_names import WEIGHTS
from cutswap.utils.tensor_files import need_small_header

# Keys under which training scripts keep the tensors, beside epochs and optimizers.
WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "module",
    "network",
    "net",
    "backbone",
    "encoder",
    "weights",
    "params",
)
_FILLER = b"\nbytearray\n"  # its end of the name, as the old protocols that torch reads write it
EMBEDDED_FOLDER = assets() / "weights"


@dataclass(frozen=True)
class StateDict:
    """Tensors by name, with the source they came from and the hash of the file that held them."""

    tensors: dict[str, Tensor] = field(repr=False)
    source: str
    sha256: str | None


@dataclass(frozen=True)
class WeightsReport:
    """Source and coverage of a network's weights, for the run record and the screen.

    Attributes:
        source: `embedded`, `imagenet`, `random`, or the file's path.
        sha256: of the file, None for random weights.
        loaded: number of tensors taken from the file.
        not_loaded: tensors the network has and the file does not: they keep seeded random values.
        unused: tensors the file has and the network does not.
        prefix: what stood before the network's names in the file, as `model.`.
        other_head: tensors of the file's own head, which is not the network's and is left out.
    """

    source: str
    sha256: str | None
    loaded: int
    not_loaded: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    prefix: str = ""
    other_head: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "source": self.source,
            "sha256": self.sha256,
            "loaded": self.loaded,
            "not_loaded": list(self.not_loaded),
            "unused": list(self.unused),
            "prefix": self.prefix,
            "other_head": list(self.other_head),
        }

    def sentence(self) -> str:
        """One line for the screen; names every part that is random, and what is not used."""
        if self.source == "random":
            return "random weights (seeded), nothing pretrained"
        known = self.source in ("embedded", "imagenet")
        text = f"{self.source} weights" if known else f"weights from {self.source}"
        under = f" below {self.prefix.removesuffix('.')}" if self.prefix else ""
        text += f" ({self.loaded} tensors{under})"
        heads = {name.split(".")[0] for name in self.other_head}
        absent = [name for name in self.not_loaded if name.split(".")[0] not in heads]
        if absent:
            parts = sorted({name.split(".")[0] for name in absent})
            text += f"; NOT in the file and left random: {', '.join(parts)}"
            text += f" ({len(absent)} tensors)"
        if self.other_head:
            text += f"; the file's own head is ignored: {first_names(self.other_head)}"
            if len(absent) < len(self.not_loaded):
                text += ", so the network's is left random"
        if self.unused:
            named = first_names(self.unused)
            text += f"; NOT used of the file: {named} ({len(self.unused)} tensors)"
        return text


def find_state(backbone: str, weights: str) -> StateDict | None:
    """The state dict that `weights` names for `backbone`; None stands for random.

    Raises:
        CutSwapError: no such file, a damaged or foreign file, or a download that failed.
    """
    if weights == "random":
        return None
    if weights == "embedded":
        return _embedded(backbone)
    if weights == "imagenet":
        return _imagenet(backbone)
    try:
        path = Path(weights).expanduser()
    except RuntimeError:  # ~name of nobody here
        path = Path(weights)
    return read_state(path)


def read_state(path: Path) -> StateDict:
    """Read a state dict file, or the tuned weights of a run folder.

    The content decides the format, not the suffix. Dicts that trainers put around it are unwrapped,
    see `WRAPPERS`, and so is a `module.` prefix; others need the network's names to be known, see
    `checkpoint_names`.

    Raises:
        CutSwapError: missing, damaged, or not a dict of tensors.
    """
    try:
        path = path / WEIGHTS if path.is_dir() else path
        is_there = path.is_file()
    except OSError:  # a name too long, a folder that may not be entered
        is_there = False
    if not is_there:
        raise CutSwapError(
            path,
            expected="embedded, imagenet, random, or an existing state dict",
            found="no such file",
            fix="check the path of --weights",
        )
    try:
        if _is_safetensors(path):
            need_small_header(path)
            tensors: Any = load_file(path)
        else:
            _need_plain_pickle(path)
            with path.open("rb") as file:  # of a path torch would look at the suffix
                tensors = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _not_a_state(path, _first_line(error)) from error
    except Exception as error:  # pickle.UnpicklingError and whatever a foreign file provokes
        raise _not_a_state(path, "a file that holds more than tensors, or is damaged") from error
    tensors = _joined(_innermost(tensors))
    if not isinstance(tensors, dict) or not tensors:
        raise _not_a_state(path, f"a {type(tensors).__name__}")
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in tensors.items()):
        raise _not_a_state(path, "values that are not tensors")
    tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    odd = [n for n, v in tensors.items() if not _is_plain(v)]
    if odd:
        raise _not_a_state(
            path, f"a sparse, quantised, complex, expanded or empty-shell tensor, {odd[0]}"
        )
    # float() because float8 cannot be asked whether it is finite.
    broken = [
        n for n, v in tensors.items() if v.is_floating_point() and not v.float().isfinite().all()
    ]
    if broken:
        raise _not_a_state(path, f"NaN or infinity in {broken[0]}")
    return StateDict(tensors, str(path), sha256_of(path))


def _need_plain_pickle(path: Path) -> None:
    """Refuse a `.pth` that becomes more than it is: 3 MB of packed zeros became 9 GB.

    torch writes its archive without packing, and unpacks whatever it is given; and what may stand
    in a weights-only pickle includes `bytearray(10**10)`, 10 GB of zeros in 40 bytes.

    Raises:
        ValueError: packed or overlapping parts, or a part that is no tensor.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        is_archive = file.read(4) == b"PK\3\4"
    if is_archive:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if archive.comment or any(p.compress_type != zipfile.ZIP_STORED for p in parts):
                raise ValueError("a packed archive; torch.save writes it unpacked")
            if sum(part.file_size for part in parts) > size:
                raise ValueError("an archive whose parts are larger than the file")
            for part in parts:
                if part.filename.endswith(".pkl"):
                    with archive.open(part) as file:
                        _need_no_filler(file)
        return
    with path.open("rb") as file:
        _need_no_filler(file)


def _need_no_filler(file: IO[bytes]) -> None:
    """Refuse `bytearray` among the names that a pickle calls; no state dict has one."""
    end = b""
    while block := file.read(1 << 20):
        if _FILLER in end + block:
            raise ValueError("a bytearray, where only tensors belong")
        end = block[-len(_FILLER) :]


def _innermost(value: Any) -> Any:
    """The dict of tensors inside the dicts that training scripts put around it."""
    while isinstance(value, dict):
        inner = next((value[k] for k in WRAPPERS if isinstance(value.get(k), dict)), None)
        if inner is None:
            break
        value = inner
    return value


def _joined(value: Any) -> Any:
    """Parts that a script saved side by side (`{"teacher": {...}, "student": {...}}`) as one dict.

    Numbers, settings and optimizers beside them are left out; a dict that has none is as it was.
    """
    if not isinstance(value, dict) or any(isinstance(v, Tensor) for v in value.values()):
        return value
    parts = {name: _innermost(part) for name, part in value.items()}
    states = {name: part for name, part in parts.items() if _is_state(part)}
    joined = {f"{name}.{n}": v for name, part in states.items() for n, v in part.items()}
    return joined or value


def _is_state(part: Any) -> bool:
    """Whether it is tensors by name; one alone is no network."""
    return (
        isinstance(part, dict)
        and len(part) > 1
        and all(isinstance(n, str) and isinstance(v, Tensor) for n, v in part.items())
    )


def _is_safetensors(path: Path) -> bool:
    """By the first bytes: the length of a JSON header, and its bracket.

    What is neither that nor the beginning of a zip or a pickle is told by its suffix, so that the
    message about it speaks of the format that was meant.
    """
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return True
    return path.suffix.lower() == ".safetensors" and not start.startswith((b"PK", b"\x80"))


def state_fingerprint(tensors: dict[str, Tensor]) -> str:
    """Hex SHA-256 over every name, dtype, shape and byte of a state dict, in sorted order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _is_plain(value: Tensor) -> bool:
    """Whether the tensor is dense, of real numbers."""
    is_dense = value.layout == torch.strided and not value.is_meta
    if not is_dense or value.is_quantized or value.is_complex():
        return False
    # One number expanded to 10^11 places would fit a small file and no memory.
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _first_line(error: Exception) -> str:
    """The start of an error's text; some of torch's are long and some are empty."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else f"a damaged or cut-off file ({type(error).__name__})"


def _not_a_state(path: Path, found: str) -> CutSwapError:
    return CutSwapError(
        path,
        expected="a state dict: tensors by name, in .safetensors or a weights-only .pth",
        found=found,
        fix="export it with safetensors.torch.save_file(model.state_dict(), ...)",
    )


def _embedded(backbone: str) -> StateDict:
    if is_timm(backbone):
        raise _no_such_weights(backbone, "embedded")
    path = EMBEDDED_FOLDER / f"{backbone}.safetensors"
    available = sorted(p.stem for p in EMBEDDED_FOLDER.glob("*.safetensors"))
    if not path.is_file():
        raise CutSwapError(
            f"embedded weights for {backbone}",
            expected=f"one of the embedded networks: {', '.join(available) or 'none found'}",
            found="no such file in assets/weights",
            fix=f"pass --weights imagenet or a path, or {how_to_restore('assets/weights')}",
        )
    card = read_json(path.with_suffix(".json"))
    expected = card.get("sha256") if isinstance(card, dict) else None
    checksum = sha256_of(path)
    if checksum != expected:
        raise CutSwapError(
            path,
            expected=f"SHA-256 {expected} as its card says",
            found=f"{checksum}: damaged or swapped",
            fix=how_to_restore("assets/weights"),
        )
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise _not_a_state(path, str(error)) from error
    # Stored as float16 to halve the download; computed in float32.
    tensors = {n: v.float() if v.dtype == torch.float16 else v for n, v in tensors.items()}
    return StateDict(tensors, "embedded", checksum)


def _no_such_weights(backbone: str, asked: str) -> CutSwapError:
    return CutSwapError(
        f"{asked} weights for {backbone}",
        expected="a file: none of timm's networks ships, and nothing is downloaded",
        found="none named",
        fix="pass the path of its .safetensors or .pth as --weights, or --weights random",
    )


def _imagenet(backbone: str) -> StateDict:
    if is_timm(backbone):
        raise _no_such_weights(backbone, "imagenet")
    # V1 is the recipe of the paper's time and the one PatchCore's published figures use.
    entry = import_torchvision().models.get_model_weights(backbone)["IMAGENET1K_V1"]
    cached = imagenet_file(backbone)
    try:
        tensors = entry.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except Exception as error:  # whatever a network or a damaged file in the cache provokes
        raise MissingWeightsError(
            f"ImageNet weights for {backbone}",
            expected=f"{cached}, whole, or a network to download it",
            found=_first_line(error),
            fix=f"copy {cached.name} there, pass its path as --weights, or use --weights embedded",
        ) from error
    return StateDict(dict(tensors), "imagenet", sha256_of(cached) if cached.is_file() else None)


def imagenet_file(backbone: str) -> Path:
    """Where torchvision keeps its ImageNet weights once they are downloaded."""
    entry = import_torchvision().models.get_model_weights(backbone)["IMAGENET1K_V1"]
    return Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rsplit("/", 1)[-1]


def describe_card(backbone: str) -> dict[str, Any]:
    """The card of embedded weights: teacher, photos, steps, loss curve, hash, date."""
    path = EMBEDDED_FOLDER / f"{backbone}.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))
