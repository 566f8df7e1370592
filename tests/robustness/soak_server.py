"""The real app as `cutswap app` starts it; with a guard taken out, or another
script around it, where a test asks for that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from streamlit.web import cli

ROOT = Path(__file__).resolve().parents[2]


def forget_the_photo_in_keys() -> None:
    """Pictures are kept by size alone, no longer by photo: sessions get each other's."""
    from app.shared.caches import PhotoKey

    PhotoKey.__eq__ = lambda self, other: self.size == other.size  # type: ignore[method-assign]
    PhotoKey.__hash__ = lambda self: hash(self.size)  # type: ignore[method-assign]


def serve_as_demo(folder: Path) -> None:
    """Other photos in the rendered demo's place: in public mode no others can be looked at."""
    from app.shared.workspace import DemoRendering

    def take(self: DemoRendering) -> None:
        self.root = folder

    DemoRendering._render = take  # type: ignore[method-assign]


def leave_the_demo_out() -> None:
    """Rendering it takes ten seconds of a core, which short tests would wait for."""
    from app.shared.workspace import DemoRendering
    from cutswap.errors import CutSwapError

    def refuse(self: DemoRendering) -> None:
        self.error = CutSwapError("demo", expected="time", found="a short test", fix="wait")

    DemoRendering._render = refuse  # type: ignore[method-assign]


if __name__ == "__main__":
    demo = os.environ.get("CUTSWAP_SOAK_DEMO")
    if demo == "0":
        leave_the_demo_out()
    elif demo:
        serve_as_demo(Path(demo))
    if os.environ.get("CUTSWAP_SOAK_BREAK") == "photo-key":
        forget_the_photo_in_keys()
    script = os.environ.get("CUTSWAP_SOAK_SCRIPT") or str(ROOT / "app/server.py")
    sys.argv = ["streamlit", "run", script, *sys.argv[1:]]
    sys.exit(cli.main())
