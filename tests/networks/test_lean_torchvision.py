"""torchvision without the compiler, and the compiler still whole for who wants it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize(
    "steps",
    [
        "import_torchvision()",
        "from cutswap.networks.backbone import load_backbone; load_backbone('resnet18', 'random')",
        "import cutswap as cs, torch;"
        " cs.explain(cs.load_backbone('vgg16'), torch.zeros(1, 3, 64, 64))",
    ],
)
def test_what_a_first_picture_needs_leaves_the_compiler_alone(steps):
    assert told(steps, "[n in sys.modules for n in ('torchvision.ops', 'torch._dynamo')]") == [
        True,
        False,
    ]


def test_the_compiler_is_whole_afterwards():
    steps = "import_torchvision(); import torch; import torch._dynamo.utils as u"
    answer = (
        "[u.__spec__.name, hasattr(u, 'counters'), torch.compile(lambda x: x, backend='eager')(1)]"
    )
    assert told(steps, answer) == ["torch._dynamo.utils", True, 1]


def test_the_question_is_answered_by_the_compiler_itself():
    steps = (
        "import torch; heads = import_torchvision().ops.roi_align;"
        "asked = sys.modules['torchvision.ops.roi_align'].is_compile_supported;"
        "own = asked('cpu'); from torch._dynamo.utils import is_compile_supported as real"
    )
    assert told(steps, "[own == real('cpu'), asked('meta') == real('meta')]") == [True, True]


def test_whoever_asks_meanwhile_gets_the_real_one():
    steps = (
        "from cutswap.networks import lean_torchvision as lean;"
        "stand_in = lean._StandIn(lean._HEAVY); sys.modules[lean._HEAVY] = stand_in;"
        "counters = stand_in.counters; import torch._dynamo.utils as real"
    )
    assert told(steps, "[counters is real.counters, real is stand_in]") == [True, False]


def test_one_that_is_there_is_taken_as_it_is():
    assert told(
        "import torchvision",
        "[import_torchvision() is torchvision, 'torch._dynamo' in sys.modules]",
    ) == [True, True]
