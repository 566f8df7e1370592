"""ImageNet weights that are neither here nor to be had: a sentence and a button, no URL error."""

from __future__ import annotations

from urllib.error import URLError

import pytest

from app.shared import caches
from tests.helpers.app import assert_alive, open_page, small_app, texts


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch) -> None:
    """An empty cache of torch, no network, and the app on a small category."""

    def refused(*_, **__) -> None:
        raise URLError("no network")

    small_app(tmp_path, monkeypatch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub._hub_dir", None)
    monkeypatch.setattr("torch.hub.urlopen", refused)
    caches.backbone.clear()


@pytest.mark.parametrize(
    ("page", "link", "network"),
    [
        ("saliency", {"w": "imagenet"}, "vgg16"),
        ("saliency", {"versus": "other weights", "w2": "imagenet"}, "vgg16"),
        ("saliency", {"net": "wide_resnet50_2", "w": "imagenet"}, "wide_resnet50_2"),
        ("negatives", {"w": "imagenet"}, "vgg16"),
        ("inspect_heatmaps", {"run": "imagenet"}, "resnet18"),
    ],
)
def test_the_answer_is_a_button_that_uses_the_embedded_weights(page, link, network):
    at = open_page(page, cat="part · mine", **link)
    assert_alive(at)
    assert f"**ImageNet weights for {network}** are not on this machine" in texts(at).replace(
        "\\", ""
    )
    assert not at.error
    (button,) = [b for b in at.button if b.label == "Use embedded weights"]
    button.click().run()
    assert_alive(at)
    assert not [b for b in at.button if b.label == "Use embedded weights"]
    assert not at.error
    assert "imagenet" not in [at.query_params.get(name) for name in ("w", "w2", "run")]
