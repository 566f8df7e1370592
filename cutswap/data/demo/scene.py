"""The scene: the contract between the category modules and the renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.random import Generator

from cutswap.data.demo.optics import Field, Mask


@dataclass(frozen=True)
class Flaw:
    """A defect to paint, with its own randomness so that it never shifts the scene's."""

    kind: str
    rng: Generator


@dataclass(frozen=True)
class Painting:
    """A lit scene.

    Attributes:
        radiance: (SIDE, SIDE, 3) linear light, RGB, about [0, 2].
        support: (CANVAS, CANVAS), where the flaw may reach; None for a clean scene.
    """

    radiance: Field
    support: Mask | None


class Scene(Protocol):
    """One category: a module with these names."""

    DEFECTS: tuple[str, ...]

    def arrange(self, rng: Generator) -> Any:
        """All that chance decides about one clean picture."""
        ...

    def paint(self, arrangement: Any, flaw: Flaw | None) -> Painting:
        """The arrangement, lit; with the flaw if there is one and unchanged elsewhere.

        Without a flaw it draws no randomness, with one only the flaw's.
        """
        ...
