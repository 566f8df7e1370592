"""How much each step is given to do: in full, in under two minutes, or just to see it run."""

from __future__ import annotations

from dataclasses import dataclass

from cutswap.settings import Settings, setting


@dataclass(frozen=True)
class Sizes(Settings):
    """Amounts of work; the targets are set for the defaults."""

    side: int = setting(256, "side of the square images, pixels", low=64)
    images: int = setting(
        293, "images behind the coreset's patches: 1024 each at 256 pixels", low=1
    )
    coreset: float = setting(0.01, "share of patches picked", above=0.0, high=1.0)
    coreset_turns: int = setting(2, "turns of the coreset; the plain loop takes minutes", low=1)
    turns: int = setting(3, "turns of everything else", low=1)
    batch: int = setting(4, "images LayerCAM explains at once", low=1)
    training_batch: int = setting(16, "images read an update", low=1)
    updates: int = setting(2, "updates a turn", low=1)
    scored: int = setting(32, "images PatchCore scores a turn", low=1)
    bank: int = setting(2048, "items of the bank it scores against", low=2)
    changes: int = setting(40, "changes of every slider", low=2)
    growth: tuple[int, ...] = setting((50, 200, 800, 3200), "training images", low=1)
    ratios: tuple[float, ...] = setting((0.001, 0.01), "bank ratios", above=0.0, high=1.0)
    searched: int = setting(50_000, "items of the large bank that is searched", low=100)
    drawn: int = setting(200, "samples drawn a turn", low=1)
    fed_batch: int = setting(32, "images read an update where feeding is measured", low=1)
    fed_updates: int = setting(30, "updates of a network that costs nothing", low=1)
    device_photos: int = setting(320, "photos a device explains and keeps a bank of", low=1)
    device_scored: int = setting(160, "photos a device scores", low=2)
    device_updates: int = setting(600, "updates of the run on a device", low=1)
    clock: str = setting(
        "wall",
        "wall, or processor: seconds of computing, which other work on the machine disturbs least",
        choices=("wall", "processor"),
    )
    full_network: bool = setting(True, "LayerCAM on VGG16 at full width, not the slim one alone")


FULL = Sizes()
QUICK = Sizes(
    images=40, coreset_turns=1, turns=2, batch=2, training_batch=4, updates=1, scored=8, bank=1024,
    changes=6, growth=(25, 50, 100), ratios=(0.01,), searched=5_000, full_network=False,
    drawn=100, fed_updates=10, device_photos=24, device_scored=12, device_updates=6,
)  # fmt: skip
TINY = Sizes(
    side=64, images=2, coreset=0.1, coreset_turns=1, turns=1, batch=1, training_batch=2, updates=1,
    scored=2, bank=16, changes=2, growth=(2, 4), ratios=(0.1,), searched=200, full_network=False,
    drawn=3, fed_batch=2, fed_updates=2, device_photos=4, device_scored=2, device_updates=2,
)  # fmt: skip
