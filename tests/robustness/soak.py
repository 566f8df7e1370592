"""Many sessions at once on the real app over real WebSockets: `make soak`.

Each session looks at a photo of its own with a seed of its own, moves a slider, waits for the
whole page, checks that the picture is its own, thinks, and moves again. Printed are answers,
errors, mixed up pictures, the time of an answer, and the memory's growth; `--json FILE` keeps them.
With `--attacker` the app is in public mode, and `soak_attacker` does beside them what it can.
With `--pages lesson` a class walks through a public lesson: all are on one of its steps.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers.streamlit_socket import Visitor
from tests.robustness.soak_answers import CATEGORY, Look, build_photos, looks

ROOT = Path(__file__).resolve().parents[2]
WARM_UP = 0.3  # share of the time that memory is not judged by: caches fill
EPOCHS = 32
ENDS = 120.0  # seconds that an attacker's last round may take


@dataclass
class Seen:
    """What has happened so far.

    Attributes:
        seconds: of every answer to a move.
        first: of every session's first page.
        wrong: pictures that were not the session's own, in words.
        errors: exceptions, red boxes, lost sockets, in words.
        memory: (seconds since the start, resident bytes of the app).
        load: of the machine, one minute's mean, at the same times.
    """

    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    load: list[float] = field(default_factory=list)

    def to_dict(self, log: str) -> dict[str, Any]:
        """The figures of the issue."""
        ordered = np.sort(self.seconds) if self.seconds else np.array([np.inf])
        growth, steady = growth_an_hour(self.memory)
        unsure = standard_error(self.memory)
        return {
            "answers": len(self.seconds),
            "median_s": round(float(np.median(ordered)), 3),
            "p95_s": round(float(ordered[int(0.95 * (len(ordered) - 1))]), 3),
            "slowest_s": round(float(ordered[-1]), 3),
            "first_page_slowest_s": round(max(self.first, default=np.inf), 3),
            "mixed_up": self.wrong[:5],
            "mixed_up_count": len(self.wrong),
            "errors": self.errors[:5],
            "error_count": len(self.errors),
            "tracebacks": log.count("Traceback"),
            "log_end": log[-2000:] if "Traceback" in log else "",
            "memory_mb": round(steady / 1e6, 1),
            "memory_peak_mb": round(max((b for _, b in self.memory), default=0) / 1e6, 1),
            "memory_growth_an_hour": round(growth, 4),
            "its_standard_error": round(unsure, 4),
            "load_mean": round(float(np.mean(self.load)), 2) if self.load else None,
            "cores": os.cpu_count(),
        }


def growth_an_hour(memory: list[tuple[float, int]]) -> tuple[float, float]:
    """(growth an hour as a share of the mean, the mean in bytes) of a line after the warm-up."""
    end = memory[-1][0] if memory else 0.0
    kept = [(t, b) for t, b in memory if t >= WARM_UP * end]
    if len(kept) < 3:
        return float("nan"), float("nan")
    times, sizes = np.array(kept, dtype=float).T
    mean = float(sizes.mean())
    return float(np.polyfit(times, sizes, 1)[0] * 3600 / mean), mean


def standard_error(memory: list[tuple[float, int]], block: float = 30.0) -> float:
    """Of `growth_an_hour`, from the means of half minutes: seconds beside each other are alike.

    Args:
        memory: (seconds, bytes).
        block: seconds averaged into one value.
    """
    end = memory[-1][0] if memory else 0.0
    kept = np.array([m for m in memory if m[0] >= WARM_UP * end], dtype=float).reshape(-1, 2)
    blocks = [kept[kept[:, 0] // block == b].mean(axis=0) for b in np.unique(kept[:, 0] // block)]
    if len(blocks) < 4:
        return float("nan")
    times, sizes = np.array(blocks).T
    _, covariance = np.polyfit(times, sizes, 1, cov=True)
    return float(np.sqrt(covariance[0, 0]) * 3600 / sizes.mean())


@dataclass(frozen=True)
class App:
    """A running app.

    Attributes:
        address: `http://127.0.0.1:PORT/`.
        pid: its process.
        log: what it has printed.
    """

    address: str
    pid: int
    log: Path

    def resident(self) -> int:
        """Bytes it has in memory now."""
        text = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii")
        return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_app(folder: Path, data: Path, port: int = 0, **variables: str) -> Iterator[App]:
    """The app on a data folder, with runs and caches of its own below `folder`."""
    port = port or free_port()
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {
        **os.environ,
        "CUTSWAP_CACHE": str(folder / "cache"),
        "CUTSWAP_RUNS": str(folder / "runs"),
        "CUTSWAP_DATA": str(data),
        "PYTHONPATH": os.pathsep.join(paths),
        **variables,
    }
    command = [sys.executable, "-m", "tests.robustness.soak_server", "--server.port", str(port)]
    log = folder / "app.log"
    address = f"http://127.0.0.1:{port}/"
    with log.open("wb") as file:
        server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=file, stderr=file)
        try:
            for _ in range(300):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(address + "_stcore/health", timeout=1)  # noqa: S310
                    break
                time.sleep(0.2)
            yield App(address, server.pid, log)
        finally:
            server.terminate()
            server.wait()


async def session(
    app: App, look: Look, number: int, until: float, think: float, s: Seen, least: int = 0
) -> None:
    """One visitor until the time is over, and `least` moves are answered."""
    rng, moves = random.Random(number), 0
    await asyncio.sleep(rng.uniform(0, think))
    try:
        async with Visitor(app.address, look.page, look.query) as visitor:
            answer = await visitor.rerun()
            s.first.append(answer.seconds)
            value = look.values[0]
            while True:
                s.errors += [f"session {number}: {text}" for text in answer.errors]
                if wrong := look.wrong(answer.viewers, value):
                    s.wrong.append(f"session {number}, {look.page} at {value}: {wrong}")
                if look.slider not in answer.sliders:
                    s.errors.append(f"session {number}: no {look.slider} on its page")
                    break
                if time.monotonic() > until and moves >= least:
                    break
                moves += 1
                await asyncio.sleep(rng.uniform(0.5, 1.5) * think)
                value = rng.choice([v for v in look.values if v != value])
                answer = await visitor.move(answer, look.slider, value)
                s.seconds.append(answer.seconds)
    except Exception as error:  # whatever ends a session early is what is looked for
        s.errors.append(f"session {number}: {type(error).__name__}: {error}")


async def watch(app: App, began: float, s: Seen) -> None:
    """Look at memory and load every second."""
    while True:
        s.memory.append((time.monotonic() - began, app.resident()))
        s.load.append(os.getloadavg()[0])
        await asyncio.sleep(1)


async def everyone(
    app: App, all_looks: list[Look], seconds: float, think: float, least: int = 0
) -> Seen:
    """All sessions at once."""
    seen, began = Seen(), time.monotonic()
    watching = asyncio.create_task(watch(app, began, seen))
    await asyncio.gather(
        *(
            session(app, look, number, began + seconds, think, seen, least)
            for number, look in enumerate(all_looks)
        )
    )
    watching.cancel()
    return seen


@contextlib.contextmanager
def attacker(app: App, category: str, seconds: float) -> Iterator[list[dict[str, int]]]:
    """`soak_attacker` while the block lasts; what it tells at its end is in the list then."""
    command = [sys.executable, "-m", "tests.robustness.soak_attacker", app.address, category]
    told: list[dict[str, int]] = []
    with subprocess.Popen(
        [*command, str(seconds)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield told
            said, _ = child.communicate(timeout=ENDS)
            told.append(json.loads(said))
        finally:
            child.kill()


def soak(
    folder: Path,
    sessions: int,
    seconds: float,
    think: float,
    least: int = 0,
    *,
    attacked: bool = False,
    pages: str = "all",
    **variables: str,
) -> Any:
    """Start the app below `folder`, load it, and give the figures.

    Args:
        folder: for its photos, runs and caches.
        sessions: visitors at once.
        seconds: how long each stays.
        think: mean seconds between a visitor's moves.
        least: moves each makes at least, however long that takes.
        attacked: in public mode, with an attacker beside the visitors.
        pages: all, or lesson, which is looked at in public mode.
        variables: environment of the app.
    """
    is_public = attacked or pages == "lesson"
    # Strangers see the demo alone, and only what lies in the cache folder is scored for them.
    data = folder / "cache" / "demo" if is_public else folder / "mine"
    label = "Demo" if is_public else "mine"
    if is_public:
        variables = {"CUTSWAP_PUBLIC": "1", "CUTSWAP_SOAK_DEMO": str(data), **variables}
    photos = build_photos(data, sessions)
    all_looks = looks(photos, label, EPOCHS, pages)
    with running_app(folder, data, **variables) as app:
        beside = attacker(app, f"{CATEGORY} · {label}", seconds) if attacked else None
        with beside or contextlib.nullcontext([]) as told:
            seen = asyncio.run(everyone(app, all_looks, seconds, think, least))
        log = app.log.read_text(encoding="utf-8", errors="replace")
    return {
        "sessions": sessions,
        "pages": pages,
        "minutes": round(seconds / 60, 2),
        "think_s": think,
        **({"attacker": told[0]} if attacked else {}),
        **seen.to_dict(log),
        "memory_curve_mb": [round(b / 1e6) for _, b in seen.memory[::15]],
    }


def verdicts(found: dict[str, Any]) -> dict[str, bool]:
    """Which figures hold: those of visitors alone, or of visitors beside an attacker."""
    if "attacker" in found:
        return {
            "no errors": found["error_count"] == 0 and found["tracebacks"] == 0,
            "no mixed up pictures": found["mixed_up_count"] == 0,
            "95% of the answers under 3 s": found["p95_s"] < 3,
            "memory under 3 GB": found["memory_peak_mb"] < 3000,
        }
    return {
        "no errors": found["error_count"] == 0 and found["tracebacks"] == 0,
        "no mixed up pictures": found["mixed_up_count"] == 0,
        "95% of the answers under 2 s": found["p95_s"] < 2,
        "memory grows under 5% an hour": found["memory_growth_an_hour"] < 0.05,
    }


def main() -> int:
    """Load, figures, verdicts; the exit status says whether all hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long [10]")
    parser.add_argument("--sessions", type=int, default=20, help="at once [20]")
    parser.add_argument("--think", type=float, default=2, help="mean seconds between moves [2]")
    parser.add_argument("--attacker", action="store_true", help="public mode, and one beside them")
    parser.add_argument(
        "--pages", choices=("all", "lesson"), default="all", help="lesson: in public mode [all]"
    )
    parser.add_argument("--json", type=Path, help="file for every number")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cutswap-soak-") as folder:
        found = soak(
            Path(folder),
            options.sessions,
            options.minutes * 60,
            options.think,
            attacked=options.attacker,
            pages=options.pages,
        )
    for name, value in found.items():
        print(f"{name:<22} {value}")
    held = verdicts(found)
    for name, is_held in held.items():
        print(f"{'yes' if is_held else 'NO':<4} {name}")
    if options.json:
        options.json.write_text(json.dumps({**found, "held": held}, indent=2) + "\n")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
