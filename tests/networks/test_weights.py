"""Weights are read without running code, checked, and described truthfully."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import os
import pickle
import random
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from cutswap.errors import CutSwapError
from cutswap.networks import weights
from cutswap.networks.backbone import load_backbone
from cutswap.networks.weights import (
    WeightsReport,
    describe_card,
    find_state,
    read_state,
    state_fingerprint,
)
from cutswap.utils.files import sha256_of
from cutswap.utils.folder_names import WEIGHTS
from cutswap.utils.tensor_files import read_tensors

NAN, INF = math.nan, math.inf


def small_state() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "conv.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "bn.running_var": torch.rand(4, generator=generator),
        "bn.num_batches_tracked": torch.tensor(7),
    }


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


class Bomb:
    """Pickles into an order to make a file: what a malicious .pth does, made harmless."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.marker,)


# Reading


@pytest.mark.parametrize(
    "save",
    [
        lambda state, path: save_file(state, path.with_suffix(".safetensors")),
        lambda state, path: torch.save(state, path.with_suffix(".pth")),
        lambda state, path: torch.save(
            state, path.with_suffix(".pth"), _use_new_zipfile_serialization=False
        ),
        # other suffixes hold pickles too
        lambda state, path: torch.save(state, path.with_suffix(".pt")),
        # wrapped by trainers and by DataParallel
        lambda state, path: torch.save({"state_dict": state, "epoch": 3}, path),
        lambda state, path: torch.save({"model": state}, path),
        lambda state, path: torch.save({"state_dict": {"model": state}}, path),
        lambda state, path: torch.save({f"module.{n}": v for n, v in state.items()}, path),
        lambda state, path: torch.save(
            {"state_dict": {f"module.{n}": v for n, v in state.items()}}, path
        ),
    ],
)
def test_every_usual_container_gives_the_same_tensors(tmp_path: Path, save):
    save(small_state(), tmp_path / "a.pth")
    (path,) = tmp_path.iterdir()
    state = read_state(path)
    assert same(state.tensors, small_state())
    assert state.source == str(path)
    assert state.sha256 == sha256_of(path)


def test_a_run_folder_stands_for_its_tuned_weights(tmp_path: Path):
    save_file(small_state(), tmp_path / WEIGHTS)
    assert same(read_state(tmp_path).tensors, small_state())


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        # nothing in it, no tensors, other things
        ("a.pth", {}, "a dict"),
        ("a.pth", {"state_dict": {}}, "a dict"),
        ("a.pth", [torch.ones(1)], "a list"),
        ("a.pth", torch.ones(3), "a Tensor"),
        ("a.pth", {"epoch": 3}, "values that are not tensors"),
        ("a.pth", {1: torch.ones(1)}, "values that are not tensors"),
        ("a.pth", {"a": {"b": torch.ones(1)}}, "values that are not tensors"),
        ("a.pth", torch.nn.Linear(2, 2), "more than tensors"),
        # numbers that poison everything they touch
        ("a.pth", {"b": torch.ones(2), "a": torch.tensor([1.0, NAN])}, "NaN or infinity in a"),
        ("a.pth", {"a": torch.tensor([INF])}, "NaN or infinity in a"),
        ("a.pth", {"a": torch.tensor([NAN]).half()}, "NaN or infinity in a"),
        ("a.pth", {"a": torch.tensor([NAN]).to(torch.float8_e4m3fn)}, "NaN or infinity in a"),
        # tensors of a kind no network here has
        ("a.pth", {"a": torch.eye(2).to_sparse()}, "sparse, quantised, complex"),
        ("a.pth", {"a": torch.tensor([1j])}, "sparse, quantised, complex"),
        ("a.pth", {"a": torch.empty(2, device="meta")}, "sparse, quantised, complex"),
        # not such files at all
        ("a.pth", b"", "cut-off file"),
        ("a.pth", b"PK\x03\x04", "."),
        ("a.pth", b"\x89PNG\r\n\x1a\n" * 9, "."),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\n", "."),
        ("a.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "."),
        ("a.safetensors", b"", "."),
        ("a.safetensors", b"\x08\0\0\0\0\0\0\0{}      ", "a dict"),
        ("a.safetensors", b"\xff" * 64, "."),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, name: str, content: Any, found: str):
    path = tmp_path / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about the odd kinds
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(CutSwapError, match=found) as caught:
            read_state(path)
    assert caught.value.subject == str(path)
    assert "\n" not in caught.value.found


@pytest.mark.parametrize(
    "save",
    [
        lambda state, path: torch.save(state, path),
        lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
        lambda state, path: save_file(state, path.with_suffix(".safetensors")),
    ],
    ids=["zip", "legacy", "safetensors"],
)
def test_a_damaged_file_is_read_or_refused_but_never_a_crash(tmp_path: Path, save):
    save(small_state(), tmp_path / "a.pth")
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    rng = random.Random(0)
    refused = 0
    for case in range(120):
        damaged = bytearray(whole)
        if case % 2:  # cut short
            del damaged[rng.randrange(len(whole)) :]
        else:  # some bytes flipped
            for _ in range(rng.choice((1, 3, 30))):
                damaged[rng.randrange(len(whole))] = rng.randrange(256)
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(CutSwapError):
                read_state(path)
                continue
            refused += 1
    assert refused >= 60  # every file cut short, at the least


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("dump", [torch.save, lambda v, p: p.write_bytes(pickle.dumps(v))])
@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: {"state_dict": b}, lambda b: {"a": b}])
def test_code_in_a_pickle_is_never_run(tmp_path: Path, dump, wrap):
    marker = tmp_path / "ran"
    dump(wrap(Bomb(marker)), tmp_path / "a.pth")
    with pytest.raises(CutSwapError):
        read_state(tmp_path / "a.pth")
    assert not marker.exists()
    # the bomb is live: read carelessly, it goes off
    pickle.loads(pickle.dumps(Bomb(marker)))  # noqa: S301 - that is the point
    assert marker.exists()


@pytest.mark.parametrize(
    "name",
    ["missing.pth", "", "~nobody-of-that-name/a.pth", "x" * 300, "a\0b", "file/a.pth", "."],
    ids=["missing", "empty", "home of nobody", "too long", "null byte", "under a file", "no run"],
)
def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path, name: str, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(CutSwapError, match="no such file"):
        find_state("resnet18", name)


# Embedded


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of embedded weights with one network of half precision, and its card."""
    state = {n: v.half() if v.is_floating_point() else v for n, v in small_state().items()}
    save_file(state, tmp_path / "resnet18.safetensors")
    card = {"sha256": sha256_of(tmp_path / "resnet18.safetensors"), "steps": 3}
    (tmp_path / "resnet18.json").write_text(json.dumps(card))
    monkeypatch.setattr(weights, "EMBEDDED_FOLDER", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("embedded")
def test_embedded_weights_come_in_full_precision():
    state = find_state("resnet18", "embedded")
    assert state.source == "embedded"
    assert state.sha256 == describe_card("resnet18")["sha256"]
    assert state.tensors["conv.weight"].dtype == torch.float32
    assert state.tensors["bn.num_batches_tracked"].dtype == torch.int64
    assert torch.equal(state.tensors["conv.weight"].half(), small_state()["conv.weight"].half())


def test_embedded_weights_of_another_hash_are_refused(embedded: Path):
    path = embedded / "resnet18.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CutSwapError, match="damaged or swapped"):
        find_state("resnet18", "embedded")


@pytest.mark.parametrize(
    ("card", "found"),
    [
        ('{"sha256": "0"}', "damaged or swapped"),
        ("{}", "damaged or swapped"),
        ("[]", "damaged or swapped"),
        ("5", "damaged or swapped"),
        ("{", "Expecting"),
        (None, "no file"),
    ],
)
def test_a_card_that_does_not_vouch_is_refused(embedded: Path, card: str | None, found: str):
    if card is None:
        (embedded / "resnet18.json").unlink()
    else:
        (embedded / "resnet18.json").write_text(card)
    with pytest.raises(CutSwapError, match=found):
        find_state("resnet18", "embedded")


def test_a_network_without_embedded_weights_lists_those_with(embedded: Path):
    with pytest.raises(CutSwapError, match="one of the embedded networks: resnet18"):
        find_state("vgg16", "embedded")
    for path in embedded.iterdir():
        path.unlink()
    with pytest.raises(CutSwapError, match="none found"):
        find_state("vgg16", "embedded")


# ImageNet


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache, and no network."""

    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    monkeypatch.setattr("torch.hub.urlopen", offline)
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


def test_imagenet_without_network_says_where_to_put_the_file(hub: Path):
    with pytest.raises(CutSwapError, match="no network") as caught:
        find_state("resnet18", "imagenet")
    assert str(hub / "resnet18-f37072fd.pth") in caught.value.expected
    assert "--weights" in caught.value.fix


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"", b"garbage" * 50, b"PK\x03\x04", pickle.dumps({"a": 1})])
def test_a_damaged_imagenet_file_in_the_cache_is_refused(hub: Path, content: bytes):
    (hub / "resnet18-f37072fd.pth").write_bytes(content[:-1])
    with pytest.raises(CutSwapError, match="ImageNet weights for resnet18"):
        find_state("resnet18", "imagenet")


def test_a_cached_imagenet_file_is_used(hub: Path):
    torch.save(small_state(), hub / "resnet18-f37072fd.pth")
    state = find_state("resnet18", "imagenet")
    assert same(state.tensors, small_state())
    assert (state.source, state.sha256) == ("imagenet", sha256_of(hub / "resnet18-f37072fd.pth"))


# Loading into a network


def test_random_weights_repeat_for_a_seed_and_leave_the_global_generator_alone(resnet):
    before = torch.get_rng_state()
    again, other = (load_backbone("resnet18", "random", seed=seed) for seed in (0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert again.fingerprint == resnet.fingerprint != other.fingerprint
    assert again.report == WeightsReport("random", None, 0)
    assert "nothing pretrained" in again.report.sentence()


def test_what_a_partial_file_lacks_is_listed_and_seeded(tmp_path: Path, resnet):
    state = resnet.module.state_dict()
    path = tmp_path / "part.safetensors"
    save_file({n: v for n, v in state.items() if not n.startswith(("layer4", "fc"))}, path)
    partial = load_backbone("resnet18", str(path), seed=3)
    lacking = {n for n in state if n.startswith(("layer4", "fc"))}
    counters = {n for n in lacking if n.endswith("num_batches_tracked")}
    assert set(partial.report.not_loaded) == lacking - counters
    assert partial.report.loaded == len(state) - len(lacking)
    assert partial.report.unused == ()
    assert partial.report.sentence().endswith(
        f"NOT in the file and left random: fc, layer4 ({len(lacking - counters)} tensors)"
    )
    # taken from the file, and the rest from this seed
    assert torch.equal(partial.module.conv1.weight, resnet.module.conv1.weight)
    assert not torch.equal(partial.module.fc.weight, resnet.module.fc.weight)
    assert load_backbone("resnet18", str(path), seed=3).fingerprint == partial.fingerprint
    assert json.loads(json.dumps(partial.report.to_dict()))["not_loaded"] == sorted(
        lacking - counters
    )


def test_tensors_the_network_does_not_know_are_listed(tmp_path: Path, resnet):
    save_file({**resnet.module.state_dict(), "psi.weight": torch.ones(1)}, tmp_path / "a.pth")
    shutil.move(tmp_path / "a.pth", tmp_path / "a.safetensors")
    loaded = load_backbone("resnet18", str(tmp_path / "a.safetensors"), seed=9)
    assert loaded.report.unused == ("psi.weight",)
    assert loaded.fingerprint == resnet.fingerprint


def test_another_shape_is_refused_with_both(tmp_path: Path, resnet):
    state = {**resnet.module.state_dict(), "bn1.weight": torch.ones(32)}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(CutSwapError) as caught:
        load_backbone("resnet18", str(tmp_path / "a.safetensors"))
    assert "bn1.weight of shape (64,)" in caught.value.expected
    assert caught.value.found == "bn1.weight of shape (32,)"


@pytest.mark.parametrize(
    ("network", "other", "shows"),
    [
        # every tensor of ResNet18 and more blocks; the blocks besides, differently built; no gaps
        ("resnet18", "resnet34", "layer1.2"),
        ("vgg16", "vgg13", "features."),
        pytest.param("vgg16", "vgg11", "features.", marks=pytest.mark.journey),  # 500 MB each
        pytest.param("wide_resnet50_2", "wide_resnet101_2", "layer3.10", marks=pytest.mark.journey),
        ("squeezenet1_0", "squeezenet1_1", "features."),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(
    tmp_path: Path, network: str, other: str, shows: str
):
    with torch.device("meta"):
        state = torchvision.models.get_model_builder(other)(weights=None).state_dict()
    zeros = {n: torch.zeros(v.shape, dtype=v.dtype) for n, v in state.items()}
    torch.save({"model": zeros}, tmp_path / "a.pth")
    with pytest.raises(CutSwapError, match=f"a state dict of {network}") as caught:
        load_backbone(network, str(tmp_path / "a.pth"))
    assert shows in caught.value.found
    assert "backbone these weights belong to" in caught.value.fix


@pytest.mark.parametrize("gap", ["layer2.0.conv1.weight", "layer1.1.", "conv1.", "layer3."])
def test_blocks_missing_between_others_are_another_network(tmp_path: Path, resnet, gap: str):
    state = {n: v for n, v in resnet.module.state_dict().items() if not n.startswith(gap)}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(CutSwapError, match="an incomplete one") as caught:
        load_backbone("resnet18", str(tmp_path / "a.safetensors"))
    assert gap in caught.value.found


@pytest.mark.parametrize(
    ("prefix", "around"),
    [
        ("", ()),
        ("model.", ()),
        ("model.", ("state_dict",)),  # Lightning
        ("module.", ("net",)),  # DataParallel
        ("model.module.", ("state_dict",)),
        ("_orig_mod.", ()),  # torch.compile
        ("module._orig_mod.backbone.", ("model_state_dict",)),
        ("net.encoder.", ("params", "state_dict")),
    ],
)
@pytest.mark.parametrize("network", ["resnet18", "vgg16"])
def test_wrappers_people_save_with_are_recognised(
    tmp_path: Path, resnet, slim, network: str, prefix: str, around: tuple[str, ...]
):
    whole = {"resnet18": resnet, "vgg16": slim}[network]
    content: Any = {f"{prefix}{n}": v for n, v in whole.module.state_dict().items()}
    content["loss.weight"] = torch.ones(3)
    for key in around:
        content = {"epoch": 3, key: content, "optimizer": {"state": {0: torch.ones(1)}}}
    torch.save(content, tmp_path / "a.pth")
    loaded = load_backbone(network, str(tmp_path / "a.pth"))
    assert loaded.fingerprint == whole.fingerprint
    assert loaded.report.unused == ("loss.weight",)
    assert "NOT used of the file: loss.weight (1 tensors)" in loaded.report.sentence()
    assert loaded.report.not_loaded == ()


@pytest.mark.parametrize("prefix", ["", "model.", "module."])
@pytest.mark.parametrize(
    "head",
    [
        {"fc.weight": torch.ones(10, 512), "fc.bias": torch.ones(10)},
        {"fc.1.weight": torch.ones(2, 512), "fc.1.bias": torch.ones(2)},
        {"fc.weight": torch.ones(1000, 1024)},
    ],
    ids=["10 classes", "a sequence", "other features"],
)
def test_another_head_is_ignored_and_said(tmp_path: Path, resnet, prefix: str, head):
    state = {n: v for n, v in resnet.module.state_dict().items() if not n.startswith("fc.")}
    save_file({f"{prefix}{n}": v for n, v in {**state, **head}.items()}, tmp_path / "a.safetensors")
    loaded = load_backbone("resnet18", str(tmp_path / "a.safetensors"))
    assert torch.equal(loaded.module.layer4[1].bn2.weight, resnet.module.layer4[1].bn2.weight)
    report = loaded.report
    assert (report.other_head, report.unused) == (tuple(sorted(head)), ())
    assert report.not_loaded == ("fc.bias", "fc.weight")
    said = report.sentence()
    assert f"the file's own head is ignored: {', '.join(sorted(head))}, so the network's" in said
    assert "NOT" not in said
    assert json.loads(json.dumps(report.to_dict()))["other_head"] == sorted(head)


@pytest.mark.parametrize(
    "beside",
    [
        {},
        {"student": None, "epoch": 3},
        {"optimizer": {"state": {0: torch.ones(1)}, "param_groups": [{"lr": 0.1}]}},
        {"dino_loss": {"center": torch.zeros(1, 9), "other": torch.zeros(1)}},
    ],
    ids=["alone", "student", "optimizer", "loss"],
)
@pytest.mark.parametrize("inside", ["", "backbone.", "module.backbone."])
def test_networks_saved_side_by_side_are_found(tmp_path: Path, resnet, beside, inside: str):
    state = {f"{inside}{n}": v for n, v in resnet.module.state_dict().items()}
    content = {"teacher": state, **{n: v or dict(state) for n, v in beside.items()}}
    torch.save(content, tmp_path / "a.pth")
    loaded = load_backbone("resnet18", str(tmp_path / "a.pth"))
    assert loaded.fingerprint == resnet.fingerprint
    if "student" in beside:
        content["student"][f"{inside}conv1.weight"] = state[f"{inside}conv1.weight"] + 1
        torch.save(content, tmp_path / "two.pth")
        with pytest.raises(CutSwapError, match="student"):
            load_backbone("resnet18", str(tmp_path / "two.pth"))


def test_two_networks_in_one_file_are_asked_about(tmp_path: Path, resnet):
    state = resnet.module.state_dict()
    twice = {f"{p}.{n}": v.clone() for p in ("student", "teacher") for n, v in state.items()}
    torch.save(twice, tmp_path / "same.pth")
    assert load_backbone("resnet18", str(tmp_path / "same.pth")).fingerprint == resnet.fingerprint
    twice["teacher.conv1.weight"] += 1
    torch.save(twice, tmp_path / "two.pth")
    with pytest.raises(CutSwapError, match=r"below student\. and teacher\."):
        load_backbone("resnet18", str(tmp_path / "two.pth"))


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.SAFETENSORS", save_file),
        ("a.pth", save_file),
        ("a.bin", save_file),
        ("noend", save_file),
        ("a.safetensors", torch.save),
        ("a.PTH", torch.save),
        ("b.safetensors", lambda v, p: torch.save(v, p, _use_new_zipfile_serialization=False)),
    ],
)
def test_the_content_decides_the_format_not_the_suffix(tmp_path: Path, name: str, save):
    save(small_state(), tmp_path / name)
    assert same(read_state(tmp_path / name).tensors, small_state())


@pytest.mark.parametrize(
    ("name", "tensors"),
    [
        # no name in common
        ("resnet18", {"features.0.weight": torch.ones(96, 3, 7, 7)}),
        # names in common, another network: SqueezeNet has features.0 and no features.2.weight
        ("vgg16", {"features.0.weight": torch.ones(96, 3, 7, 7)}),
        ("vgg16", {"features.0.weight": torch.tensor(1.0)}),
        ("vgg16", {f"features.{i}.weight": torch.ones(4) for i in (0, 2, 7, 14, 21, 28)}),
    ],
)
def test_the_weights_of_another_network_are_refused(tmp_path: Path, name: str, tensors):
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(CutSwapError, match=f"a state dict of {name}"):
        load_backbone(name, str(tmp_path / "a.safetensors"))


def test_a_slim_vgg_is_rebuilt_in_its_own_widths(tmp_path: Path, slim):
    save_file(slim.module.state_dict(), tmp_path / "a.safetensors")
    loaded = load_backbone("vgg16", str(tmp_path / "a.safetensors"))
    assert loaded.fingerprint == slim.fingerprint
    assert loaded.report.not_loaded == loaded.report.unused == ()
    assert loaded.levels == ("4", "9", "16", "23", "30")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "name", "random_parts"),
    [
        ("squeezenet1_0_imagenet.pth", "squeezenet1_0", set()),
        ("resnet18_imagenet_layer1-3.pth", "resnet18", {"layer4", "fc"}),
    ],
)
def test_real_weights_load_and_say_what_is_random(shared: Path, file, name, random_parts):
    report = load_backbone(name, str(shared / "weights" / file)).report
    assert {n.split(".")[0] for n in report.not_loaded} == random_parts
    assert report.unused == ()
    assert report.sha256 == sha256_of(shared / "weights" / file)


@pytest.mark.shared
def test_real_squeezenet_weights_are_no_vgg16(shared: Path):
    with pytest.raises(CutSwapError, match="a state dict of vgg16"):
        load_backbone("vgg16", str(shared / "weights" / "squeezenet1_0_imagenet.pth"))


# Fingerprint


@given(place=st.integers(0, 4 * 27 + 4), step=st.sampled_from([-INF, INF]))
def test_any_single_value_changes_the_fingerprint(place: int, step: float):
    """108 weights, 4 variances, 1 counter; the smallest change a float can make."""
    state = small_state()
    name = "conv.weight" if place < 108 else "bn.running_var" if place < 112 else None
    if name is None:
        state["bn.num_batches_tracked"] += 1
    else:
        flat = state[name].view(-1)
        index = place if name == "conv.weight" else place - 108
        flat[index] = torch.nextafter(flat[index], torch.tensor(step))
    assert state_fingerprint(state) != state_fingerprint(small_state())


@pytest.mark.parametrize(
    "change",
    [
        # the bytes stay, what they mean does not
        lambda s: {n.replace("conv", "cone"): v for n, v in s.items()},
        lambda s: {**s, "conv.weight": s["conv.weight"].reshape(4, 27)},
        lambda s: {**s, "conv.weight": s["conv.weight"].view(torch.int32)},
        lambda s: {**s, "extra": torch.empty(0)},
        lambda s: {n: v for n, v in s.items() if n != "bn.running_var"},
    ],
    ids=["name", "shape", "dtype", "one more", "one less"],
)
def test_name_shape_and_dtype_count(change):
    assert state_fingerprint(change(small_state())) != state_fingerprint(small_state())


def test_a_fingerprint_survives_files_order_and_strides(tmp_path: Path):
    state = small_state()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pth")
    wanted = state_fingerprint(state)
    assert state_fingerprint(read_state(tmp_path / "a.safetensors").tensors) == wanted
    assert state_fingerprint(read_state(tmp_path / "a.pth").tensors) == wanted
    assert state_fingerprint(dict(reversed(state.items()))) == wanted
    strided = {**state, "conv.weight": state["conv.weight"].to(memory_format=torch.channels_last)}
    assert not strided["conv.weight"].is_contiguous()
    assert state_fingerprint(strided) == wanted


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.bfloat16, torch.float64])
def test_every_dtype_has_a_fingerprint(dtype: torch.dtype):
    values = torch.tensor([0.0, 1.0]).to(dtype)
    assert state_fingerprint({"a": values}) != state_fingerprint({"a": values.flip(0)})


class Filler:
    """Unpickled it becomes as many zeros as it says, allowed by torch's own reader."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (10**10,)


def packed_again(data: bytes, compression: int, twice: bool = False) -> bytes:
    """torch's archive, its parts packed as a bomb has them."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(made, "w", compression) as new,
    ):
        for part in old.infolist():
            new.writestr(part.filename, old.read(part))
        if twice:  # the same bytes under many names, as in the quoted-overlap bombs
            first = new.infolist()[0]
            for number in range(50):
                again = copy.copy(first)
                again.filename = f"archive/data/{number + 1000}"
                new.filelist.append(again)
            new._didModify = True
    return made.getvalue()


def torch_bytes(value: object, *, legacy: bool = False) -> bytes:
    data = io.BytesIO()
    torch.save(value, data, _use_new_zipfile_serialization=not legacy)
    return data.getvalue()


ZEROS = {"conv.weight": torch.zeros(1_000_000)}
BOMBS = {
    "deflated": packed_again(torch_bytes(ZEROS), zipfile.ZIP_DEFLATED),
    "bzip2": packed_again(torch_bytes(ZEROS), zipfile.ZIP_BZIP2),
    "overlapping": packed_again(torch_bytes(ZEROS), zipfile.ZIP_STORED, twice=True),
    "zeros on demand": torch_bytes({"conv.weight": torch.ones(2), "b": Filler()}),
    "zeros on demand, old": torch_bytes({"a": torch.ones(2), "b": Filler()}, legacy=True),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_becomes_more_than_it_is_is_never_unpacked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "weights.pth"
    path.write_bytes(BOMBS[name])

    def never(*_: object, **__: object) -> None:
        raise AssertionError("torch was given the file")

    monkeypatch.setattr(torch, "load", never)
    with pytest.raises(CutSwapError, match=r"packed archive|larger than the file|bytearray"):
        read_state(path)


def test_the_same_without_packing_is_read(tmp_path: Path):
    path = tmp_path / "weights.pth"
    path.write_bytes(packed_again(torch_bytes(ZEROS), zipfile.ZIP_STORED))
    assert same(read_state(path).tensors, ZEROS)


def test_a_header_of_90_mb_is_not_parsed(tmp_path: Path):
    """Within the format's limit of 100 MB; parsed it would take a multiple of that."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes((90_000_000).to_bytes(8, "little") + b"{}")
    with path.open("r+b") as file:
        file.truncate(90_000_100)
    for reader in (read_state, lambda p: read_tensors(p, fix="get another")):
        with pytest.raises(CutSwapError, match="a header of 90,000,000 bytes, at most 10,000,000"):
            reader(path)
