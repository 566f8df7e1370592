"""torchvision without the compiler, and the compiler still whole for who wants it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from cutswap.networks.backbone import BACKBONES
from cutswap.networks.lean_torchvision import import_torchvision, shapes_only

SEES = """
import json, sys
from cutswap.networks.lean_torchvision import import_torchvision
{steps}
print(json.dumps({answer}))
"""


def told(steps: str, answer: str) -> object:
    """What a new process answers."""
    ran = subprocess.run(
        [sys.executable, "-c", SEES.format(steps=steps, answer=answer)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.journey
def test_what_a_first_picture_needs_leaves_the_compiler_alone():
    steps = (
        "import cutswap as cs, torch;"
        "from cutswap.networks.checkpoint_names import names_of;"
        "[names_of(n) for n in ('resnet18', 'vgg16', 'squeezenet1_0', 'wide_resnet50_2')];"
        "cs.load_backbone('resnet18', 'random'); cs.load_backbone('resnet18');"
        "cs.explain(cs.load_backbone('vgg16'), torch.zeros(1, 3, 64, 64))"
    )
    there = told(steps, "[n in sys.modules for n in ('torchvision.ops', 'torch._dynamo')]")
    assert there == [True, False]


@pytest.mark.journey
def test_the_compiler_is_whole_afterwards_and_answers_itself():
    steps = (
        "import torch; import_torchvision();"
        "asked = sys.modules['torchvision.ops.roi_align'].is_compile_supported;"
        "own = [asked(name) for name in ('cpu', 'meta')];"
        "import torch._dynamo.utils as u;"
        "real = [u.is_compile_supported(name) for name in ('cpu', 'meta')];"
        "same = torch.compile(lambda x: x, backend='eager')"
    )
    answer = "[u.__spec__.name, hasattr(u, 'counters'), same(torch.ones(1)).item(), own == real]"
    assert told(steps, answer) == ["torch._dynamo.utils", True, 1, True]


@pytest.mark.journey
def test_whoever_asks_meanwhile_gets_the_real_one():
    steps = (
        "from cutswap.networks import lean_torchvision as lean;"
        "stand_in = lean._StandIn(lean._HEAVY); sys.modules[lean._HEAVY] = stand_in;"
        "counters = stand_in.counters; import torch._dynamo.utils as real"
    )
    assert told(steps, "[counters is real.counters, real is stand_in]") == [True, False]


@pytest.mark.journey
def test_one_that_is_there_is_taken_as_it_is():
    assert told(
        "import torchvision",
        "[import_torchvision() is torchvision, 'torch._dynamo' in sys.modules]",
    ) == [True, True]


@pytest.mark.parametrize("name", BACKBONES)
def test_a_network_of_shapes_only_has_every_name_and_shape(name):
    models = import_torchvision().models
    with shapes_only():
        empty = models.get_model_builder(name)(weights=None)
    assert all(value.is_meta for value in empty.state_dict().values())
    with torch.device("meta"):
        whole = models.get_model_builder(name)(weights=None)
    shapes = [(n, v.shape, v.dtype) for n, v in whole.state_dict().items()]
    assert [(n, v.shape, v.dtype) for n, v in empty.state_dict().items()] == shapes


def test_outside_values_are_drawn_as_ever():
    with shapes_only():
        pass
    assert torch.zeros(3).fill_(2.0).tolist() == [2.0] * 3
