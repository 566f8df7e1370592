"""A stranger beside the honest visitors of a public app, in a process of its own.

In turns, until the time is over: 60 uploads of 20 MB and 60 of 4.9 MB from six sessions, no button
ever pressed; and 30 links to Inspect, each with another seed, half of them beyond what is offered,
whose tabs are closed after some seconds. Only against this machine.

    python -m tests.robustness.soak_attacker http://127.0.0.1:8501/ "part · Demo" 120
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import sys
import time
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import requests

from tests.helpers.streamlit_socket import Visitor

UPLOADS, LINKS, SESSIONS = 60, 30, 6
LARGE, FITTING = 20_000_000, 4_900_000  # bytes
MOST_ROUNDS = 20
OPEN = 4.0  # seconds that a link's tab is looked at
PAUSE = 2.0  # seconds between rounds


@dataclass
class Attack:
    """What became of it.

    Attributes:
        rounds: of all uploads and links.
        uploads: sent.
        refused: of them, by the app.
        links: opened.
        lost: sockets and requests that ended in another way.
    """

    rounds: int = 0
    uploads: int = 0
    refused: int = 0
    links: int = 0
    lost: int = 0


def need_loopback(address: str) -> None:
    """Refuse every address but this machine's own.

    Raises:
        ValueError: it is another machine, or a name that might be one.
    """
    host = urlsplit(address).hostname or ""
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"{host}: only this machine is attacked")


async def upload(visitor: Visitor, field: str, size: int, count: int, told: Attack) -> None:
    """Send files of random-looking bytes and press nothing."""
    for number in range(count):
        told.uploads += 1
        try:
            await visitor.upload(field, f"{number}.png", b"\x89PNG\r\n\x1a\n" + bytes(size))
        except requests.HTTPError:
            told.refused += 1
        except (TimeoutError, requests.RequestException, OSError):
            told.lost += 1


async def uploads(address: str, told: Attack) -> None:
    """All uploads of a round, by `SESSIONS` visitors of the Data page."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(SESSIONS):
            visitor = await stack.enter_async_context(Visitor(address, "data", {}))
            page = await visitor.rerun()
            for size in (LARGE, FITTING):
                await upload(visitor, page.uploaders[0], size, UPLOADS // SESSIONS, told)


async def link(address: str, category: str, seed: int, told: Attack) -> None:
    """Open a tab on Inspect that asks for an evaluation of its own, and close it."""
    size, coreset = (256, 0.1) if seed % 2 else (512, 0.25)
    query = {"cat": category, "pcsize": str(size), "coreset": str(coreset), "pcseed": str(seed)}
    told.links += 1
    try:
        async with Visitor(address, "inspect_heatmaps", query) as visitor:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(visitor.rerun(), OPEN)
    except Exception:  # whatever the app does to an attacker is counted, not told
        told.lost += 1


async def attack(address: str, category: str, seconds: float) -> Attack:
    """Rounds until the time is over, `MOST_ROUNDS` at most.

    Args:
        address: `http://127.0.0.1:8501/`.
        category: as the sidebar names it.
        seconds: how long; a round that has begun is ended.
    """
    need_loopback(address)
    told, until = Attack(), time.monotonic() + seconds
    while time.monotonic() < until and told.rounds < MOST_ROUNDS:
        first = told.rounds * LINKS
        try:
            await uploads(address, told)
        except Exception:  # a page that does not come: the honest visitors say whether they got one
            told.lost += 1
        await asyncio.gather(
            *(link(address, category, seed, told) for seed in range(first, first + LINKS))
        )
        told.rounds += 1
        await asyncio.sleep(PAUSE)
    return told


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(attack(sys.argv[1], sys.argv[2], float(sys.argv[3]))))))
