"""The command that repeats an evaluation: it can be typed, and gives the same settings."""

from __future__ import annotations

import pytest

from cutswap.commands.parser import parse
from cutswap.config import FalseAlarmSettings, PatchCoreSettings
from cutswap.flags import settings_from
from cutswap.reports.repeat import evaluate_again

SUMMARY = {
    "weights": {"source": "embedded"},
    "backbone": "resnet18",
    "data": {"root": "/d/bolt", "left_out": []},
    "patchcore": PatchCoreSettings().replace(coreset=0.1).to_dict(),
    "seed": 3,
}


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, []),
        ({"weights": {"source": "random"}}, ["--weights", "random"]),
        ({"weights": {"source": "/w.pth"}, "backbone": "vgg11"},
         ["--weights", "/w.pth", "--backbone", "vgg11"]),
        ({"weights": {"source": "fine-tuned run /r/a b"}, "score": "head"},
         ["--run", "/r/a b", "--score", "head"]),
        ({"data": {"root": "/d/bolt", "left_out": [{"path": "x"}]}}, ["--skip-bad"]),
    ],
)  # fmt: skip
def test_the_command_names_what_differs_from_the_defaults(changes, flags):
    line = [str(part) for part in evaluate_again({**SUMMARY, **changes})]
    assert line[:3] == ["evaluate", "--data", "/d/bolt"]
    assert line[3 : 3 + len(flags)] == flags
    options = parse(line)
    assert settings_from(options, PatchCoreSettings).coreset == 0.1
    assert options.seed == 3


def test_a_rate_and_the_photos_kept_apart_are_asked_for_again():
    asked = FalseAlarmSettings(false_alarms=0.05, folds=2, calibration="apart")
    line = evaluate_again({**SUMMARY, "false_alarms": {"settings": asked.to_dict()}})
    assert settings_from(parse(list(map(str, line))), FalseAlarmSettings) == asked


@pytest.mark.parametrize(
    "summary",
    [{}, {**SUMMARY, "weights": None}, {**SUMMARY, "data": None}, {**SUMMARY, "seed": "x"},
     {**SUMMARY, "false_alarms": {}}, {**SUMMARY, "patchcore": 5}, {**SUMMARY, "data": []}],
)  # fmt: skip
def test_a_record_that_does_not_say_gives_none(summary):
    assert evaluate_again(summary) is None
