"""Named taps give what a plain forward pass gives, and leave no trace."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cutswap.errors import CutSwapError
from cutswap.networks import backbone as backbone_module
from cutswap.networks.backbone import BACKBONES, SALIENCY_LEVELS, Backbone, load_backbone
from cutswap.networks.slim_vgg import fold_batch_norm, slim_vgg16, widths_of
from cutswap.utils.devices import autocast, choose_device, describe_device, device_names
from tests.helpers.tiny_networks import slim_backbone

NETWORKS = ("resnet", "squeezenet", "slim")


@pytest.fixture(params=NETWORKS)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return request.getfixturevalue(request.param)


def plain_outputs(module: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Output of every part that runs once in a whole forward pass, by hooks of our own."""
    outputs: dict[str, Tensor] = {}
    calls: dict[str, int] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            outputs[name] = output.clone()
            calls[name] = calls.get(name, 0) + 1

        return hook

    handles = [part.register_forward_hook(keep(n)) for n, part in module.named_modules() if n]
    with torch.no_grad():
        outputs["scores"] = module(image)
    for handle in handles:
        handle.remove()
    return {name: v for name, v in outputs.items() if calls.get(name, 1) == 1}


def hook_counts(module: nn.Module) -> list[int]:
    return [
        len(part._forward_hooks)
        + len(part._forward_pre_hooks)
        + len(part._backward_hooks)
        + len(part._backward_pre_hooks)
        for part in module.modules()
    ]


def test_every_layer_gives_what_a_whole_forward_pass_gives(backbone: Backbone, image: Tensor):
    whole = plain_outputs(backbone.module, image[:1])
    # a part that runs twice in one pass has no one output: its name must not be offered
    assert set(backbone.layers) <= set(whole)
    together = backbone.features(image[:1], backbone.layers)
    for layer in backbone.layers:
        assert torch.equal(together[layer], whole[layer]), layer
    for layer in (*backbone.layers[::9], *backbone.levels):
        (alone,) = backbone.features(image[:1], [layer]).values()
        # whole stages of a ResNet alone come from the folded copy, equal but for rounding
        torch.testing.assert_close(
            alone, whole[backbone.resolve([layer])[0]], rtol=1e-5, atol=1e-5, msg=layer
        )


def test_layers_come_under_the_names_given_in_any_order(backbone: Backbone, image: Tensor):
    whole = plain_outputs(backbone.module, image)
    for names in itertools.permutations(backbone.levels[1:4]):
        found = backbone.features(image, names)
        assert tuple(found) == names
        for name, full in zip(names, backbone.resolve(names), strict=True):
            torch.testing.assert_close(found[name], whole[full], rtol=1e-5, atol=1e-5)


def test_the_forward_pass_ends_at_the_deepest_layer_asked_for(slim: Backbone, image: Tensor):
    ran: list[str] = []
    handles = [
        slim.module.features[index].register_forward_hook(
            lambda _m, _i, _o, index=index: ran.append(index)
        )
        for index in range(31)
    ]
    slim.features(image, ["9", "4"])
    assert ran == list(range(9))  # 9 itself leaves from our hook, which stands first
    ran.clear()
    slim.differentiable(image, ["9", "4"])
    assert ran == list(range(31))
    for handle in handles:
        handle.remove()


def test_scores_and_gradients_begin_at_the_shallowest_layer(backbone: Backbone, image: Tensor):
    whole = plain_outputs(backbone.module, image)
    first, last = backbone.levels[1], backbone.levels[-1]
    found, scores = backbone.differentiable(image, [last, first])
    assert torch.equal(scores, whole["scores"])
    assert found[first].is_leaf
    assert not found[last].is_leaf
    assert found[first].requires_grad
    assert torch.autograd.grad(scores.sum(), found[first])[0].abs().sum() > 0


def test_gradients_agree_with_finite_differences(slim: Backbone, image: Tensor):
    """d(score) along one direction at layer 9, against two plain forwards from there."""
    found, scores = slim.differentiable(image[:1], ["9"])
    (gradient,) = torch.autograd.grad(scores[0, 7], found["9"])
    rest = nn.Sequential(*slim.module.features[10:]).double()
    head = slim.module.classifier

    def score(activation: Tensor) -> Tensor:
        with torch.no_grad():
            pooled = rest(activation.double()).mean(dim=(2, 3))
            return (pooled @ head.weight.double().T + head.bias.double())[0, 7]

    direction = torch.randn(found["9"].shape, generator=torch.Generator().manual_seed(0)).double()
    at = found["9"].detach().double()
    slope = (score(at + 1e-7 * direction) - score(at - 1e-7 * direction)) / 2e-7
    rest.float()
    assert slope.item() == pytest.approx((gradient.double() * direction).sum().item(), rel=1e-3)


def test_a_call_leaves_nothing_behind(backbone: Backbone, image: Tensor):
    before = hook_counts(backbone.module)
    own = image.clone().requires_grad_(True)
    _, scores = backbone.differentiable(own, backbone.levels)
    scores.sum().backward()
    backbone.features(image, backbone.levels)
    with pytest.raises(RuntimeError):  # one channel: fails inside the forward pass
        backbone.features(image[:, :1], backbone.levels)
    with pytest.raises(CutSwapError):
        backbone.features(image, ["nowhere"])
    assert hook_counts(backbone.module) == before
    assert all(p.grad is None and not p.requires_grad for p in backbone.module.parameters())
    assert backbone_module._capture.get() is None
    assert not backbone.module.training
    assert not backbone.features(image, backbone.levels)[backbone.levels[0]].requires_grad


def test_taps_do_not_disturb_a_plain_call(backbone: Backbone, image: Tensor):
    with torch.no_grad():
        before = backbone.module(image)
        backbone.features(image, backbone.levels)
        backbone.differentiable(image, backbone.levels)
        assert torch.equal(backbone.module(image), before)


def test_gradients_are_there_even_inside_no_grad(slim: Backbone, image: Tensor):
    with torch.no_grad():
        found, scores = slim.differentiable(image, ["30"])
        assert scores.requires_grad
        assert not torch.is_grad_enabled()
    assert found["30"].requires_grad


def test_relus_do_not_overwrite_what_a_tap_saw(slim: Backbone, squeezenet: Backbone, image: Tensor):
    # torchvision's ReLUs work in place: the convolution's tap would show zeros for its negatives
    for network, layer in ((slim, "0"), (squeezenet, "0")):
        assert network.features(image, [layer, "1"])[layer].min() < 0


# Names


def test_numbers_are_indices_into_features(slim: Backbone):
    assert slim.resolve(["4", "features.9", "classifier"]) == (
        "features.4",
        "features.9",
        "classifier",
    )
    assert slim.resolve(iter(["4"])) == ("features.4",)
    assert slim.resolve([4]) == ("features.4",)


@pytest.mark.parametrize(
    ("network", "layers", "named"),
    [
        # no such index, no such name, an index where there is no `features`
        ("slim", ["31"], "0 to 30"),
        ("slim", ["layer1"], "0 to 30"),
        ("squeezenet", ["13"], "0 to 12"),
        ("resnet", ["4"], "conv1, bn1, relu, maxpool, layer1, layer1.0"),
        ("resnet", ["layer5"], "layer4.1, avgpool, fc"),
        ("resnet", [""], "conv1, bn1"),
        # digits that are no number, a sign, a space
        ("slim", ["²"], "0 to 30"),
        ("slim", ["-1"], "0 to 30"),
        ("slim", [" 4"], "0 to 30"),
        # the one ReLU a residual block runs twice has no one output
        ("resnet", ["layer1.0.relu"], "layer1.0"),
        # dropout is the identity here
        ("squeezenet", ["classifier.0"], "0 to 12"),
    ],
)
def test_an_unknown_layer_names_those_that_exist(network, layers, named, request):
    backbone = request.getfixturevalue(network)
    with pytest.raises(CutSwapError) as caught:
        backbone.resolve(layers)
    assert caught.value.subject == f"layer {layers[0]}"
    assert named in caught.value.expected
    assert backbone.levels[0] in caught.value.fix


@pytest.mark.parametrize(
    "layers",
    [
        # none, the same twice, the same under both of its names
        [],
        ["4", "4"],
        ["4", "9", "features.4"],
    ],
)
def test_none_or_the_same_layer_twice_is_refused(slim: Backbone, image: Tensor, layers: list[str]):
    with pytest.raises(CutSwapError, match="each named once"):
        slim.features(image, layers)


def test_default_levels_exist_and_are_never_directly_before_a_pool(request):
    for network in NETWORKS:
        backbone = request.getfixturevalue(network)
        assert backbone.resolve(backbone.levels)
        if network == "resnet":
            continue
        parts = dict(backbone.module.features.named_children())
        for level in backbone.levels:
            after = parts.get(str(int(level) + 1))
            assert not isinstance(after, nn.MaxPool2d)
    pools = [
        str(i)
        for i, m in enumerate(slim_vgg16((1, 1, 1, 1, 1)).features)
        if type(m) is nn.MaxPool2d
    ]
    assert SALIENCY_LEVELS["vgg16"] == tuple(pools)


# Building


@pytest.mark.parametrize("name", ["vgg19", "", "ResNet18", "efficientnet_b0"])
def test_an_unknown_network_is_refused(name: str):
    for build in (lambda: load_backbone(name, "random"), lambda: Backbone.from_state(name, {})):
        with pytest.raises(CutSwapError, match="one of vgg16, squeezenet1_0, resnet18"):
            build()


def test_from_state_is_the_same_network(slim: Backbone, resnet: Backbone, image: Tensor):
    for network in (slim, resnet):
        again = Backbone.from_state(network.name, network.module.state_dict())
        assert again.fingerprint == network.fingerprint
        layers = network.levels
        for ours, theirs in zip(
            again.features(image, layers).values(),
            network.features(image, layers).values(),
            strict=True,
        ):
            assert torch.equal(ours, theirs)


def test_from_state_copies(slim: Backbone):
    state = {n: v.clone() for n, v in slim.module.state_dict().items()}
    again = Backbone.from_state("vgg16", state)
    state["classifier.bias"].add_(1)
    assert again.fingerprint == slim.fingerprint


def test_from_state_refuses_what_is_incomplete(resnet: Backbone):
    state = dict(resnet.module.state_dict())
    del state["layer4.1.bn2.running_var"]
    with pytest.raises(CutSwapError, match="layer4.1.bn2.running_var missing"):
        Backbone.from_state("resnet18", state)


def test_threads_that_build_at_once_get_the_same_random_weights(resnet: Backbone):
    start = threading.Barrier(3)

    def build(_: int) -> str:
        start.wait(timeout=60)
        return load_backbone("resnet18", "random", seed=0).fingerprint

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(build, range(3))) == {resnet.fingerprint}


def test_every_backbone_has_five_levels():
    assert set(BACKBONES) == {"vgg16", "squeezenet1_0", "resnet18", "resnet50", "wide_resnet50_2"}
    assert all(len(levels) == 5 for levels in SALIENCY_LEVELS.values())


# Slim VGG


def test_slim_widths_are_read_off_the_state():
    widths = (2, 3, 4, 5, 6)
    state = slim_vgg16(widths).state_dict()
    assert widths_of(state) == widths
    del state["features.28.weight"]
    assert widths_of(state) is None
    assert widths_of({}) is None


def test_folding_batch_norm_changes_no_output_and_restores_the_indices(image: Tensor):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trained = slim_vgg16((4, 4, 4, 4, 4), classes=5, batch_norm=True)
        for part in trained.modules():  # statistics and scales that matter
            if isinstance(part, nn.BatchNorm2d):
                nn.init.uniform_(part.running_mean, -0.2, 0.2)
                nn.init.uniform_(part.running_var, 0.5, 2)
                nn.init.uniform_(part.weight, 0.5, 2)
                nn.init.uniform_(part.bias, -0.2, 0.2)
    folded = fold_batch_norm(trained.eval())
    assert len(folded.features) == 31
    with torch.no_grad():
        torch.testing.assert_close(folded(image), trained(image), rtol=1e-4, atol=1e-5)


def test_slim_networks_of_two_seeds_differ(slim: Backbone):
    assert slim_backbone(seed=0).fingerprint == slim.fingerprint
    assert slim_backbone(seed=1).fingerprint != slim.fingerprint


# Devices


def test_the_device_asked_for_is_taken_or_refused(monkeypatch: pytest.MonkeyPatch):
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert device_names()[0] == "cpu"
    for name in ("cuda", "cuda:3", "tpu", "CPU", ""):
        with pytest.raises(CutSwapError, match="auto or one of cpu"):
            choose_device(name)


def test_auto_takes_the_emptiest_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda i: ((5, 9, 7)[i], 10))
    assert choose_device("auto") == torch.device("cuda", 1)
    assert choose_device("cuda") == torch.device("cuda", 0)


def test_float32_is_never_mixed():
    cpu = torch.device("cpu")
    with autocast(cpu, "float32"):
        assert not torch.is_autocast_enabled("cpu")
    with autocast(cpu, "bfloat16"):
        assert torch.is_autocast_enabled("cpu")
    assert describe_device(cpu).startswith("cpu (")


def test_a_network_that_a_state_fills_draws_no_random_values(backbone, monkeypatch):
    monkeypatch.setattr(backbone_module, "_seeding", None)  # entered before any draw
    state = backbone.module.state_dict()
    counters = {n for n in state if n.endswith("num_batches_tracked")}
    bare = {n: v.clone() for n, v in state.items() if n not in counters}
    before = torch.get_rng_state()
    built = Backbone.from_state(backbone.name, bare)
    assert torch.equal(torch.get_rng_state(), before)
    found = built.module.state_dict()
    assert list(found) == list(state)
    for name, value in found.items():
        assert not value.is_meta
        assert torch.equal(value, torch.zeros_like(value) if name in counters else state[name])
        if name in bare:  # its own, so that training it changes nobody else's
            assert value.data_ptr() != bare[name].data_ptr()
