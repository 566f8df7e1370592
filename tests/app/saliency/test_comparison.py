"""Two saliency maps in one range of colours: what is equal there, and what is said of the rest."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from app.saliency import comparison
from app.saliency.comparison import IMAGE, LAYER, ONE, WEIGHTS, Looked, shared_range
from app.shared import caches
from app.shared.caches import PhotoKey, SaliencyKey
from cutswap.data.datasets import open_dataset
from cutswap.networks.backbone import SALIENCY_LEVELS
from cutswap.utils.overlays import colourise
from tests.helpers.app import assert_alive, open_page, small_app, texts

PART = "part · mine"


def scales(at: Any) -> list[tuple[str, str, str]]:
    """(low, high, unit) of the legends of both saliency maps."""
    found = [json.loads(e.proto.json) for e in at.get("bidi_component") if e.proto.json]
    legends = [v["legend"] for v in found if "opacity" in v and v["legend"]["unit"]]
    return [(one["low"], one["high"], one["unit"]) for one in legends]


def looked(root: Any, name: str, level: int = 2) -> Looked:
    category = open_dataset(root).category("part")
    (record,) = (r for r in (*category.train, *category.test) if r.name == name)
    layers = SALIENCY_LEVELS["vgg16"]
    key = SaliencyKey(PhotoKey.of_record(record, 128), "vgg16", "embedded", layers)
    return Looked(key, level, record)


@pytest.mark.parametrize(("compare", "more"), [(IMAGE, {}), (LAYER, {}), (WEIGHTS, {})])
def test_both_maps_have_one_range_and_the_page_says_what_it_means(
    compare, more, tmp_path, monkeypatch
):
    small_app(tmp_path, monkeypatch)
    own = open_page("saliency", cat=PART, size="128", versus=compare)
    assert_alive(own)
    assert scales(own) == [("0", "1", "saliency, relative to this map's own range")] * 2
    assert comparison.STRETCHED in texts(own)
    at = open_page("saliency", cat=PART, size="128", versus=compare, colours=ONE, **more)
    assert_alive(at)
    first, second = scales(at)
    assert first == second
    assert first[:2] != ("0", "1")
    assert "one range for both maps" in first[2]
    assert f"One range of colours for both{comparison._MEANS[compare]}." in texts(at)
    for page in (own, at):
        assert "The peak of the second map is" in texts(page)


def test_equal_colours_are_equal_values(tmp_path, monkeypatch):
    root = small_app(tmp_path, monkeypatch)
    first, second = looked(root, "train/good/000"), looked(root, "test/crack/000")
    span = shared_range(first, second)
    assert span == (
        min(first.ends[0], second.ends[0]),
        max(first.ends[1], second.ends[1]),
    )
    assert max(first.ends[1], second.ends[1]) > 1.01 * min(first.ends[1], second.ends[1])
    for one in (first, second):
        low, high = one.ends
        raw = low + caches.explained(one.key).maps[one.level] * (high - low)
        np.testing.assert_array_equal(
            caches.heat_in(one.key, one.level, span), colourise(raw, *span)
        )
    strong, weak = sorted((first, second), key=lambda one: -one.ends[1])
    brightest = [caches.heat_in(o.key, o.level, span).sum(-1).max() for o in (strong, weak)]
    assert brightest[0] > brightest[1]  # stretched, both would reach bright yellow


def test_a_fused_map_has_no_unit_and_keeps_its_own_range(tmp_path, monkeypatch):
    small_app(tmp_path, monkeypatch)
    query = {"size": "128", "versus": IMAGE, "colours": ONE, "layer": "fused"}
    at = open_page("saliency", cat=PART, **query)
    assert_alive(at)
    assert {one[:2] for one in scales(at)} == {("0", "1")}
    assert "A fused map is a mean of stretched maps and has no unit." in texts(at)
    query |= {"versus": LAYER, "layer": "16", "layer2": "fused"}  # the second alone
    at = open_page("saliency", cat=PART, **query)
    assert_alive(at)
    assert "has no unit" in texts(at)
