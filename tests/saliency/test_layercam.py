"""Saliency is LayerCAM: pytorch-grad-cam agrees layer by layer, alone, in batches, in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_grad_cam import LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from cutswap.data.images import read_photo, resize_photo, to_image
from cutswap.errors import CutSwapError
from cutswap.networks import backbone as backbone_module
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.networks.slim_vgg import SlimVGG
from cutswap.networks.weights import WeightsReport
from cutswap.saliency.clusters import cluster_saliency
from cutswap.saliency.layercam import Saliency, explain, layercam, saliency_maps, upsample
from tests.helpers.small_photos import photo_of

NETWORKS = ("resnet", "squeezenet", "slim")


@pytest.fixture(params=NETWORKS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def vgg16() -> Backbone:
    """torchvision's own VGG16 features at full width; its 100-million-weight head is left out."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = SlimVGG(make_layers(cfgs["D"]), nn.Linear(512, 1000))
        for part in module.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(part, nn.ReLU):
                part.inplace = False
    return Backbone("vgg16", module, WeightsReport("random", None, 0))


class NativeLayerCAM(LayerCAM):
    """pytorch-grad-cam's, keeping its maps before they are scaled and resized."""

    raw: np.ndarray

    def get_cam_image(self, *arguments: Any) -> np.ndarray:
        self.raw = super().get_cam_image(*arguments)
        return self.raw


def reference(
    backbone: Backbone, image: Tensor, layer: str, target: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Raw (N, h, w) and published (N, H, W) maps of one layer by pytorch-grad-cam."""
    (name,) = backbone.resolve([layer])
    targets = None if target is None else [ClassifierOutputTarget(target) for _ in image]
    with NativeLayerCAM(backbone.module, [backbone.module.get_submodule(name)]) as cam:
        # our parameters are frozen: without this its backward pass has nothing to do
        published = cam(image.clone().requires_grad_(True), targets)
    return np.maximum(cam.raw, 0), published


def unit(maps: np.ndarray) -> np.ndarray:
    """Each map from its minimum to its maximum onto [0, 1]."""
    low = maps.min(axis=(1, 2), keepdims=True)
    return (maps - low) / np.maximum(np.ptp(maps, axis=(1, 2), keepdims=True), 1e-30)


def check_against_reference(
    backbone: Backbone, image: Tensor, layers: tuple[str, ...], target: int | None = None
) -> None:
    found = explain(backbone, image, layers, target_class=target)
    for layer, ours in zip(layers, found.maps, strict=True):
        raw, published = reference(backbone, image, layer, target)
        scale = raw.max()
        assert scale > 0, f"{layer}: the test image shows nothing here"
        # the same numbers at their own resolution,
        np.testing.assert_allclose(ours.numpy(), raw, rtol=1e-4, atol=1e-5 * scale)
        np.testing.assert_allclose(unit(ours.numpy()), unit(raw), atol=1e-4)
        # and after its scaling and resizing (by OpenCV) the same up to an affine map
        large = upsample(ours, (int(image.shape[2]), int(image.shape[3]))).numpy()
        np.testing.assert_allclose(large, unit(published), atol=1e-3)
    with torch.no_grad():
        scores = backbone.module(image)
    classes = scores.argmax(1) if target is None else torch.full((len(image),), target)
    assert torch.equal(found.classes, classes)
    torch.testing.assert_close(found.scores, scores.gather(1, classes[:, None])[:, 0])


# Agreement with the reference


def test_every_level_equals_pytorch_grad_cam(backbone: Backbone, image: Tensor):
    check_against_reference(backbone, image[:2], backbone.levels)


def test_every_layer_of_slim_vgg_equals_pytorch_grad_cam(slim: Backbone, image: Tensor):
    # convolutions too, whose negative outputs the next ReLU cuts off
    check_against_reference(slim, image[:1], tuple(str(i) for i in range(31)))


def test_layers_inside_blocks_equal_pytorch_grad_cam(
    resnet: Backbone, squeezenet: Backbone, image: Tensor
):
    inside = ("bn1", "layer1.0.conv1", "layer2.0.downsample.1", "layer3.1.conv2", "layer4.1")
    check_against_reference(resnet, image[:1], inside)
    check_against_reference(
        squeezenet, image[:1], ("0", "features.3.squeeze", "features.5.expand3x3", "10")
    )


def test_a_layer_that_is_added_to_in_place_is_seen_as_it_was(resnet: Backbone, image: Tensor):
    """A residual block adds to bn2's output in place; pytorch-grad-cam then sees the sum.

    The gradient of a sum is that of its parts, so the block's own output tells bn2's.
    """
    found, scores = resnet.differentiable(image[:1], ["layer3.1.bn2", "layer3.1", "layer3.0"])
    before = torch.relu(found["layer3.1.bn2"] + found["layer3.0"])
    assert torch.equal(before, found["layer3.1"])
    block, own = torch.autograd.grad(scores.max(), [found["layer3.1"], found["layer3.1.bn2"]])
    assert torch.equal(own, block * (found["layer3.1"] > 0))
    (alone,) = explain(resnet, image[:1], ["layer3.1.bn2"]).maps
    torch.testing.assert_close(alone, layercam(found["layer3.1.bn2"].detach(), own))


@pytest.mark.parametrize(
    ("network", "target"),
    [("slim", 0), ("slim", 7), ("slim", 999), ("squeezenet", 7), ("resnet", 7)],
)
def test_a_chosen_class_equals_pytorch_grad_cam(network, target, image: Tensor, request):
    backbone = request.getfixturevalue(network)
    check_against_reference(backbone, image[:2], backbone.levels[2:], target)


def test_full_width_vgg16_equals_pytorch_grad_cam(vgg16: Backbone, image: Tensor):
    assert len(vgg16.module.features) == 31
    check_against_reference(vgg16, image[:1], vgg16.levels)


def test_a_photo_that_is_not_square_equals_pytorch_grad_cam(slim: Backbone):
    image = to_image(photo_of(5, (48, 80))[None])
    check_against_reference(slim, image, slim.levels)
    assert saliency_maps(slim, image).shape == (1, 5, 48, 80)


@pytest.mark.shared
def test_trained_squeezenet_equals_pytorch_grad_cam(shared: Path):
    backbone = load_backbone("squeezenet1_0", str(shared / "weights/squeezenet1_0_imagenet.pth"))
    paths = sorted((shared / "data/photos").rglob("*.*"))
    photos = [p for p in paths if p.suffix.lower() in (".jpg", ".jpeg", ".png")][:2]
    image = to_image(np.stack([resize_photo(read_photo(p), (128, 128)) for p in photos]))
    check_against_reference(backbone, image, backbone.levels)


# Independence


def test_a_batch_equals_its_images_one_by_one(backbone: Backbone, image: Tensor):
    together = explain(backbone, image)
    for i in range(len(image)):
        alone = explain(backbone, image[i : i + 1])
        assert together.classes[i] == alone.classes[0]
        torch.testing.assert_close(together.scores[i], alone.scores[0], rtol=1e-4, atol=1e-6)
        for a, b in zip(together.maps, alone.maps, strict=True):
            torch.testing.assert_close(a[i], b[0], rtol=1e-3, atol=1e-4 * float(b.max()))


def test_layers_together_equal_layers_alone_in_any_order(backbone: Backbone, image: Tensor):
    asked = tuple(reversed(backbone.levels))
    together = explain(backbone, image, asked)
    assert together.layers == asked
    for layer, ours in zip(asked, together.maps, strict=True):
        (alone,) = explain(backbone, image, [layer]).maps
        torch.testing.assert_close(ours, alone, rtol=1e-4, atol=1e-5 * float(alone.max()))


class NaiveExplainer:
    """LayerCAM as peers write it: hooks that store into one place. Wrong for two at once."""

    def __init__(self, backbone: Backbone, layers: tuple[str, ...]) -> None:
        self.backbone = backbone
        self.found: dict[str, Tensor] = {}
        self.handles = [
            backbone.module.get_submodule(n).register_forward_hook(self._hook(n))
            for n in backbone.resolve(layers)
        ]

    def _hook(self, name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self.found[name] = output

        return keep

    def maps(self, image: Tensor, layers: tuple[str, ...]) -> list[Tensor]:
        scores = self.backbone.module(image.clone().requires_grad_(True))
        found = [self.found[n] for n in self.backbone.resolve(layers)]
        gradients = torch.autograd.grad(scores.max(dim=1).values.sum(), found)
        return [layercam(a.detach(), g) for a, g in zip(found, gradients, strict=True)]

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()


def all_at_once(
    backbone: Backbone, jobs: list[tuple[Tensor, tuple[str, ...]]], maps_of: Callable[..., Any]
) -> list[Any]:
    """Run every job in a thread of its own, held at the last layer until all have come there.

    So all forward passes are over before any backward pass begins: whatever is shared is mixed
    up every time, not once in a thousand runs.
    """
    meeting = threading.Barrier(len(jobs))

    def meet(*_: Any) -> None:
        meeting.wait(timeout=60)

    handle = list(backbone.module.modules())[-1].register_forward_pre_hook(meet)

    def run(job: tuple[Tensor, tuple[str, ...]]) -> Any:
        try:
            return maps_of(*job)
        except RuntimeError as error:
            return error

    try:
        with ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(run, jobs))
    finally:
        handle.remove()


def agree(results: list[Any], alone: list[list[Tensor]]) -> list[bool]:
    return [
        not isinstance(result, Exception)
        and all(torch.equal(a, b) for a, b in zip(result, single, strict=True))
        for result, single in zip(results, alone, strict=True)
    ]


@pytest.mark.parametrize("count", [2, 8])
def test_threads_at_once_get_exactly_what_they_get_alone(backbone: Backbone, count: int):
    levels = backbone.levels
    jobs = [
        # another image each, other layers each, so that a mix-up shows
        (to_image(photo_of(20 + i, (64, 64))[None]), (levels[i % 5], levels[(i + 2) % 5]))
        for i in range(count)
    ]
    alone = [list(explain(backbone, image, layers).maps) for image, layers in jobs]
    results = all_at_once(
        backbone, jobs, lambda image, layers: list(explain(backbone, image, layers).maps)
    )
    assert agree(results, alone) == [True] * count


def test_the_thread_test_catches_shared_hooks(slim: Backbone):
    """The naive version is right alone and wrong in two threads: the test above has teeth."""
    layers = ("9", "30")
    jobs = [(to_image(photo_of(20 + i, (64, 64))[None]), layers) for i in range(2)]
    naive = NaiveExplainer(slim, layers)
    try:
        alone = [naive.maps(*job) for job in jobs]
        for (image, _), maps in zip(jobs, alone, strict=True):
            for ours, theirs in zip(explain(slim, image, layers).maps, maps, strict=True):
                torch.testing.assert_close(ours, theirs)
        assert not all(agree(all_at_once(slim, jobs, naive.maps), alone))
    finally:
        naive.close()


def test_nothing_stays_behind(backbone: Backbone, image: Tensor):
    before = [len(part._forward_hooks) for part in backbone.module.modules()]
    own = image.clone().requires_grad_(True)
    explain(backbone, own)
    with pytest.raises(CutSwapError):
        explain(backbone, image, target_class=1000)
    assert [len(part._forward_hooks) for part in backbone.module.modules()] == before
    assert not any(part._backward_hooks for part in backbone.module.modules())
    assert all(p.grad is None and not p.requires_grad for p in backbone.module.parameters())
    assert own.grad is None
    assert backbone_module._capture.get() is None
    assert not any(m.requires_grad for m in explain(backbone, own).maps)


# Values


def test_layercam_by_hand():
    # channel 0 counts where its gradient is positive, channel 1 pulls the sum below zero at (0, 1)
    activations = torch.tensor([[[[2.0, 3.0]], [[1.0, -4.0]]]])
    gradients = torch.tensor([[[[0.5, 1.0]], [[-9.0, 2.0]]]])
    assert layercam(activations, gradients).tolist() == [[[1.0, 0.0]]]


def test_no_positive_gradient_gives_a_blank_map_that_stays_zero(image: Tensor):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = SlimVGG(make_layers(cfgs["A"]), nn.Linear(512, 4))
    with torch.no_grad():
        module.classifier.weight[2] = 0.0  # a score that depends on nothing
    found = explain(
        Backbone("vgg16", module, WeightsReport("random", None, 0)), image, ["2"], target_class=2
    )
    assert torch.equal(found.maps[0], torch.zeros_like(found.maps[0]))
    large = found.upsampled((64, 64))
    assert torch.equal(large, torch.zeros(3, 1, 64, 64))
    with pytest.raises(CutSwapError, match="the map is blank"):
        cluster_saliency(large[0, 0].numpy(), 4)


def test_ends_are_what_0_and_1_stand_for():
    maps = (torch.tensor([[[1.0, 3.0], [5.0, 2.0]]]), torch.zeros(1, 1, 1))
    none = torch.zeros(1)
    saliency = Saliency(maps, ("a", "b"), none.long(), none, none[None])
    ends, shown = saliency.ends((2, 2)), saliency.upsampled((2, 2))
    assert ends.tolist() == [[[1.0, 5.0], [0.0, 0.0]]]
    low, high = ends[..., 0, None, None], ends[..., 1, None, None]
    raw = torch.stack([maps[0], maps[1].expand(1, 2, 2)], 1)
    torch.testing.assert_close(low + shown * (high - low), raw)


@given(
    level=st.floats(0, 1e6, width=32),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    large=st.tuples(st.integers(9, 70), st.integers(9, 70)),
)
def test_a_constant_map_becomes_zero_and_not_rounding_noise(level, size, large):
    found = upsample(torch.full((2, *size), level), large)
    assert torch.equal(found, torch.zeros(2, *large))


@given(
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e6, 1e30]),
    size=st.tuples(st.integers(2, 9), st.integers(2, 9)),
)
def test_maps_fill_zero_to_one_whatever_their_scale(seed: int, scale: float, size):
    raw = torch.rand((3, *size), generator=torch.Generator().manual_seed(seed))
    found = upsample(raw * scale, (40, 30))
    assert found.shape == (3, 40, 30)
    assert found.dtype == torch.float32
    assert found.amin(dim=(1, 2)).tolist() == [0.0] * 3
    assert found.amax(dim=(1, 2)).tolist() == [1.0] * 3
    torch.testing.assert_close(found, upsample(raw, (40, 30)), rtol=1e-4, atol=1e-5)


def test_each_map_is_scaled_by_itself(slim: Backbone, image: Tensor):
    maps = saliency_maps(slim, image)
    assert maps.shape == (3, 5, 64, 64)
    assert maps.dtype == torch.float32
    flat = maps.flatten(2)
    assert torch.equal(flat.amin(dim=2), torch.zeros(3, 5))
    assert torch.equal(flat.amax(dim=2), torch.ones(3, 5))


def test_a_map_of_full_size_is_not_blurred():
    raw = torch.rand(1, 6, 5, generator=torch.Generator().manual_seed(0))
    found = upsample(raw, (6, 5))
    torch.testing.assert_close(found, (raw - raw.min()) / (raw.max() - raw.min()))


# Refusals


@pytest.mark.parametrize("target", [-1, 1000, 10**9])
def test_a_class_that_does_not_exist_is_refused(slim: Backbone, image: Tensor, target: int):
    with pytest.raises(CutSwapError, match="0 to 999"):
        explain(slim, image, target_class=target)


@pytest.mark.parametrize(
    ("network", "layer"),
    [("slim", "classifier"), ("resnet", "fc")],
)
def test_a_layer_without_height_and_width_is_refused(network, layer, image: Tensor, request):
    backbone = request.getfixturevalue(network)
    with pytest.raises(CutSwapError, match="height and width") as caught:
        explain(backbone, image, [backbone.levels[0], layer])
    assert layer in caught.value.subject


def test_a_layer_that_does_not_exist_is_refused(slim: Backbone, image: Tensor):
    with pytest.raises(CutSwapError, match="0 to 30"):
        explain(slim, image, ["31"])


def test_the_best_guesses_are_those_of_a_softmax(backbone: Backbone, image: Tensor):
    saliency = explain(backbone, image)
    with torch.no_grad():
        shares = backbone.module(image).softmax(1)
    for index, row in enumerate(shares):
        guesses = saliency.best_guesses(index, 3)
        assert [number for number, _ in guesses] == row.topk(3).indices.tolist()
        assert guesses[0][0] == int(saliency.classes[index])
        np.testing.assert_allclose([p for _, p in guesses], row.topk(3).values, rtol=1e-3)
        assert saliency.probability(index) == pytest.approx(guesses[0][1])
    chosen = explain(backbone, image, target_class=3)
    assert chosen.best_guesses(0) == saliency.best_guesses(0)
    assert chosen.probability(0) == pytest.approx(float(shares[0, 3]), rel=1e-3)
    assert len(saliency.best_guesses(0, 10**6)) == shares.shape[1]
