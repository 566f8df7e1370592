"""The files of a scored photo: what is in them, and when a command repeats them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.inspect_heatmaps import picture as pictures
from app.inspect_heatmaps.picture import Called, Heat
from app.viewer.viewer import Picture
from cutswap.commands.parser import parse
from cutswap.data.records import Record
from cutswap.evaluation.verdicts import Verdict
from tests.helpers.scored import SETTINGS

VALUES = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
PHOTO = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("index", "values", "repeats"),
    [
        (1, VALUES[1], True),
        (1, VALUES[1] * 1.5, False),  # with another smoothing than the evaluation's
        (None, VALUES[0], False),  # a training photo, which the evaluation has not scored
    ],
)
@pytest.mark.parametrize("marked", [True, False])
def test_a_heatmap_is_taken_home_with_the_command_of_its_evaluation(
    index, values, repeats, marked, tmp_path, monkeypatch
):
    taken: list[Any] = []
    monkeypatch.setattr(
        pictures, "take_home", lambda figures, origin, *, key: taken.append((figures, origin, key))
    )
    scored = SimpleNamespace(
        heatmaps=VALUES,
        settings=SETTINGS,
        summary={
            "weights": {"source": "embedded"},
            "data": {"root": str(tmp_path)},
            "patchcore": SETTINGS.to_dict(),
            "seed": 1,
        },
    )
    mask = np.eye(8, dtype=bool) if marked else None
    record = Record(tmp_path / "003.png", "test", "crack")
    heat = Heat(record, values, np.float32(2.5), mask, (np.float32(0), np.float32(9)), "all photos")
    about = pictures.evaluation_of(scored, index, heat)  # type: ignore[arg-type]
    called = Called(Verdict.FOUND, 2.4, 3.5)
    pictures.heat_to_take_home("demo/bolt", heat, Picture(PHOTO), called, about)
    (((figure,), origin, _),) = taken
    settings = json.loads(json.dumps(origin.settings))
    assert (settings["image"], settings["score"]) == ("test/crack/003", 2.5)
    assert (settings["threshold"], settings["pixel_threshold"]) == (2.4, 3.5)
    assert settings["verdict"] == "found"
    assert "command" not in settings
    assert settings["scored_anew"] is not repeats
    assert len(origin.commands) == repeats
    for words in origin.commands:
        parse([str(word) for word in words])
    arrays = figure.arrays()
    assert np.array_equal(arrays["heatmap"], values)
    assert ("mask" in arrays) == marked
