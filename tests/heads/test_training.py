"""Training a head: seeds decide it, a resumed run is the same run, and it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cutswap.config import HEADS, LEARNT_HEADS, HeadSettings
from cutswap.errors import CutSwapError
from cutswap.heads.discriminator import Discriminator
from cutswap.heads.feature_cache import HeadFeatures
from cutswap.heads.patch_head import HeadOrigin, PatchHead, build_network
from cutswap.heads.projector import Projector
from cutswap.heads.residuals import PRIOR, ResidualStatistics
from cutswap.heads.training import HeadTrainer, channel_statistics, one_cycle, separation

GRID, WIDE = (4, 5), 12


def settings_for(kind: str, **changes: object) -> HeadSettings:
    small = {"width": 8, "blocks": 1, "kernel": 3, "updates": 6, "photos": 4}
    return HeadSettings(train=kind, **{**small, **changes})


def features_of(seed: int = 0) -> HeadFeatures:
    """Five photos with a rank-two structure by place; negatives move one corner far away."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(*GRID, WIDE))
    scale = rng.uniform(0.8, 1.2, (5, 1, 1, 1))
    clean = (base * scale).astype(np.float16)
    drawn = np.repeat(clean[:, None], 2, axis=1)
    changed = np.zeros(drawn.shape[:4], dtype=np.float16)
    drawn[:, :, :2, :2] = rng.normal(3, 1, drawn[:, :, :2, :2].shape)
    changed[:, :, :2, :2] = 1
    return HeadFeatures(clean, drawn, changed)


ORIGIN = HeadOrigin("resnet18", "f" * 64, 64, "cutswap", "bolt", 0, (0, 5))


def weights_of(trainer: HeadTrainer) -> dict[str, torch.Tensor]:
    return {n: v for n, v in trainer.state().items() if n.startswith("head.")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize("kind", LEARNT_HEADS)
def test_the_seed_decides(kind: str):
    trained = []
    for seed in (0, 0, 1):
        trainer = HeadTrainer(features_of(), settings_for(kind, noise=0.1), seed)
        assert [s.step for s in trainer.run()] == [1, 2, 3, 4, 5, 6]
        trained.append(weights_of(trainer))
    assert same(trained[0], trained[1])
    assert not same(trained[0], trained[2])


@pytest.mark.parametrize("kind", LEARNT_HEADS)
@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_resumed_run_is_the_same_run(kind: str, at: int):
    whole = HeadTrainer(features_of(), settings_for(kind, noise=0.1), 0)
    losses = [s.loss for s in whole.run()]
    broken = HeadTrainer(features_of(), settings_for(kind, noise=0.1), 0)
    before = [s.loss for s in broken.run(stop=lambda: broken.step == at)]
    resumed = HeadTrainer(features_of(), settings_for(kind, noise=0.1), 0)
    resumed.load_state(broken.state())
    assert before + [s.loss for s in resumed.run()] == losses
    assert same(resumed.state(), whole.state())


@pytest.mark.parametrize("kind", HEADS)
def test_photos_it_does_not_learn_from_do_not_count(kind: str):
    features, other = features_of(), features_of()
    other.clean[[1, 4]], other.drawn[[1, 4]] = 7, 9
    learns = np.array([0, 2, 3])
    trained = []
    for seen in (features, other):
        trainer = HeadTrainer(seen, settings_for(kind), 0, learns=learns)
        list(trainer.run())
        trained.append(trainer.head(ORIGIN).tensors())
    assert same(*trained)


@pytest.mark.parametrize("scale", ["none", "channels", "places"])
def test_a_gaussian_scores_how_far_a_patch_is_from_the_good_ones(scale: str):
    """Without updates or negatives; by hand: the RMS of channels in the unit of good photos."""
    clean = features_of().clean
    trainer = HeadTrainer(HeadFeatures.of_photos(clean), settings_for("gaussian", scale=scale), 0)
    assert list(trainer.run()) == []
    head = trainer.head(ORIGIN)
    x = clean.astype(np.float64)
    mean, deviation = x.mean(axis=(0, 1, 2)), x.std(axis=(0, 1, 2))
    normal = (x - mean) / deviation
    centre, spread = np.zeros_like(normal[0]), np.ones_like(normal[0])
    if scale == "places":
        trust = len(x) / (len(x) + PRIOR)
        centre = normal.mean(axis=0)
        spread = np.sqrt(trust * normal.var(axis=0) + (1 - trust))
    wanted = np.sqrt((((normal - centre) / spread) ** 2).mean(axis=-1))
    found = head.score_patches(torch.from_numpy(clean.astype(np.float32)))
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    far = head.score_patches(torch.from_numpy(clean.astype(np.float32) + 5))
    assert (far.min(axis=(1, 2)) > found.max(axis=(1, 2))).all()


def test_a_checkpoint_of_other_settings_is_refused():
    trainer = HeadTrainer(features_of(), settings_for("projector"), 0)
    other = HeadTrainer(features_of(), settings_for("projector", width=16), 0)
    with pytest.raises(CutSwapError, match="tensors of this run's head"):
        other.load_state(trainer.state())


@pytest.mark.parametrize("kind", LEARNT_HEADS)
@pytest.mark.parametrize("seed", range(3))
def test_it_learns_what_changed(kind: str, seed: int):
    """The corner is far from all good patches: hardly learnable is what no head would miss."""
    long = settings_for(kind, updates=150, learning_rate=0.01)
    trainer = HeadTrainer(features_of(seed), long, seed)
    steps = list(trainer.run())
    assert steps[-1].loss < 0.5 * steps[0].loss
    head = trainer.head(ORIGIN)
    drawn = torch.from_numpy(features_of(seed).drawn[:, 0].astype(np.float32))
    assert separation(head.score_patches(drawn), features_of(seed).changed[:, 0]) > 0.95


@pytest.mark.parametrize("cls", [Projector, Discriminator])
def test_shapes(cls: type):
    kind = cls.__name__.lower()
    network = build_network(settings_for(kind), WIDE, GRID, 0)
    assert isinstance(network, cls)
    x = torch.randn(3, *GRID, WIDE)
    assert network(x).shape == ((3, *GRID, WIDE) if kind == "projector" else (3, *GRID))
    trainer = HeadTrainer(features_of(), settings_for(kind), 0)
    scores = trainer.head(ORIGIN).score_patches(x)
    assert scores.shape == (3, *GRID)
    assert (scores >= 0).all()


def test_the_projectors_residual_by_hand():
    network = build_network(settings_for("projector"), 2, (1, 1), 0)
    torch.nn.init.zeros_(network.leave.weight)
    network.leave.bias.data[:] = torch.tensor([1.0, 1.0])
    # it gives back (1, 1), so from (4, 5) the residual is (3, 4)
    residual = network.residual(torch.tensor([[[[4.0, 5.0]]]]))
    assert residual.tolist() == [[[[3.0, 4.0]]]]
    plain = ResidualStatistics.of([residual], "none")
    assert plain.scores(residual).item() == pytest.approx(12.5**0.5)  # root of (9 + 16) / 2


def test_residual_statistics_agree_with_numpy():
    left = torch.randn(6, *GRID, 3, generator=torch.Generator().manual_seed(0)) * 2 + 1
    flat = left.double().numpy().reshape(-1, 3)
    channels = ResidualStatistics.of(left.split(4), "channels")
    np.testing.assert_allclose(channels.mean[0, 0], flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(channels.deviation[2, 3], flat.std(axis=0), rtol=1e-5)
    places = ResidualStatistics.of(left.split(4), "places")
    own = left.double().numpy()
    mixed = (6 * own.var(axis=0) + PRIOR * flat.var(axis=0)) / (6 + PRIOR)
    np.testing.assert_allclose(places.mean, own.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(places.deviation, np.sqrt(mixed), rtol=1e-5)


@pytest.mark.parametrize("scale", ["channels", "places"])
def test_scores_do_not_depend_on_a_channels_unit(scale: str):
    left = torch.randn(8, *GRID, 3, generator=torch.Generator().manual_seed(1))
    unit = torch.tensor([1.0, 50.0, 0.2])
    one = ResidualStatistics.of([left], scale).scores(left)
    other = ResidualStatistics.of([left * unit], scale).scores(left * unit)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_discriminators_loss_leaves_cells_in_between_out():
    network = build_network(settings_for("discriminator"), WIDE, (1, 3), 0)
    x = torch.randn(1, 1, 3, WIDE)
    logits = network(x)[0, 0].detach()
    loss, _ = network.loss(x, torch.tensor([[[1.0, 0.3, 0.0]]]))
    by_hand = (torch.log1p(torch.exp(-logits[0])) + torch.log1p(torch.exp(logits[2]))) / 2
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_an_even_kernel_is_refused():
    with pytest.raises(CutSwapError, match="an odd number"):
        build_network(settings_for("projector", kernel=4), WIDE, GRID, 0)


@pytest.mark.parametrize("steps", [1, 2, 7, 400])
def test_the_rate_rises_and_falls(steps: int):
    rates = np.array([one_cycle(step, steps) for step in range(steps)])
    assert ((rates > 0) & (rates <= 1)).all()
    peak = int(rates.argmax())
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    if steps == 400:
        assert rates[0] == pytest.approx(1 / 25)
        assert rates[-1] == pytest.approx(1e-4)
        assert peak == 120


def test_channel_statistics_agree_with_numpy():
    clean = np.random.default_rng(0).normal(5, 2, (4, 3, 2, 6)).astype(np.float16)
    clean[..., 0] = 1.5  # a channel that never varies
    mean, deviation = channel_statistics(clean, np.array([0, 1, 3]))
    flat = clean[[0, 1, 3]].reshape(-1, 6).astype(np.float64)
    np.testing.assert_allclose(mean, flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation[1:], flat.std(axis=0)[1:], rtol=1e-5)
    assert deviation[0] == 1


def test_separation_by_hand():
    # changed 3 and 1 against unchanged 0 and 2: three of four pairs; the cell between is ignored
    scores = np.array([[[3.0, 1.0, 9.0, 0.0, 2.0]]])
    changed = np.array([[[1.0, 0.6, 0.5, 0.0, 0.0]]])
    assert separation(scores, changed) == 0.75
    assert separation(scores, np.zeros_like(changed)) == 0.5


@pytest.mark.parametrize("kind", HEADS)
def test_a_saved_head_scores_the_same(kind: str, tmp_path):
    trainer = HeadTrainer(features_of(), settings_for(kind), 0)
    list(trainer.run())
    head = trainer.head(ORIGIN)
    head.save(tmp_path / "head.safetensors")
    back = PatchHead.load(tmp_path / "head.safetensors")
    assert (back.origin, back.settings, back.grid) == (head.origin, head.settings, head.grid)
    x = torch.randn(2, *GRID, WIDE)
    np.testing.assert_array_equal(back.score_patches(x), head.score_patches(x))


def test_features_of_another_width_or_place_are_refused():
    trainer = HeadTrainer(features_of(), settings_for("projector"), 0)
    head = trainer.head(ORIGIN)
    for shape in ((1, *GRID, WIDE + 1), (1, 3, 3, WIDE)):
        with pytest.raises(CutSwapError, match="as it was trained on"):
            head.score_patches(torch.zeros(shape))
