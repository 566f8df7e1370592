"""`python -m cutswap score`: photos that come in, scored and called good or defective."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cutswap.commands.common import add_threshold, asked_rate, say
from cutswap.commands.own_outputs import claim
from cutswap.errors import CutSwapError, first_names
from cutswap.utils.files import need_out
from cutswap.utils.progress import Bars
from cutswap.utils.signals import stop_on_signals

_BLINK = 0.1  # seconds within which Ctrl-C is noticed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `score`."""
    parser.add_argument("folder", type=Path, help="folder of photos; sub-folders are looked into")
    parser.add_argument(
        "--detector",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that evaluate or export detector wrote",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add_threshold(parser, "detector")
    parser.add_argument("--no-heatmaps", action="store_true", help="scores and verdicts alone")
    parser.add_argument(
        "--watch",
        action="store_true",
        help="go on with photos as they come, until Ctrl-C; started again, it goes on from there",
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        default=1.0,
        metavar="SECONDS",
        help="between two looks into a watched folder [1]",
    )
    parser.add_argument(
        "--stop-after", type=_seconds, metavar="SECONDS", help="end of --watch [never]"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Score a folder, once or for as long as it is watched."""
    from cutswap.decision.exported import open_detector
    from cutswap.decision.incoming import list_photos, need_folder
    from cutswap.decision.scoring import FILES, FolderScorer, score_once, watch
    from cutswap.utils.devices import choose_device

    if options.stop_after is not None and not options.watch:
        raise CutSwapError(
            "--stop-after", expected="--watch with it", found="none", fix="add --watch"
        )
    need_out(options.out)
    need_folder(options.folder, options.out)
    rate = asked_rate(options)
    own = claim(options.out, options.command, FILES, options.json)
    device = str(choose_device(options.device))
    detector = open_detector(
        options.detector, rate=rate, threshold=options.threshold, device=device
    )
    say(f"threshold {detector.threshold:.6g}: {detector.how}")
    scorer = FolderScorer(detector, options.folder, options.out, heatmaps=not options.no_heatmaps)
    before = scorer.need_same(options.watch)
    listing = list_photos(options.folder, options.out)
    if listing.left_out:
        noun = "name" if len(listing.left_out) == 1 else "names"
        say(
            f"left out {len(listing.left_out)} {noun} that are no photos"
            f" ({first_names(listing.left_out)})"
        )
    if not listing.photos and not options.watch:
        raise CutSwapError(
            options.folder,
            expected="photos (png, jpg, bmp, tif or webp)",
            found="none",
            fix="pass the folder that they lie in, or add --watch to wait for them",
        )
    told_drifts = 0
    with stop_on_signals() as stop, own.writing(), Bars(options.quiet or options.watch) as bars:
        scorer.begin(before, options.watch)
        if options.watch:
            stop.gently = True
            ends = None if options.stop_after is None else time.monotonic() + options.stop_after
            is_over = _is_over(lambda: stop.asked, ends)
            say(f"watching {options.folder}; Ctrl-C ends it")
            lines = watch(scorer, before, is_over, every=options.every, pause=_pause(is_over))
        else:
            lines = score_once(scorer, bars)
        for few in lines:
            for line in few:
                if options.watch:
                    print(line.text(), flush=True)
                elif line.problem:
                    say(line.text())
            for one in scorer.tally.drifts[told_drifts:]:
                if one.is_drift:
                    say(one.text())
            told_drifts = len(scorer.tally.drifts)
        result = scorer.end(options.watch)
    for one in scorer.tally.drifts[told_drifts:]:
        say(one.text())
    print(
        f"{result['photos']} photos: {result['good']} good, {result['defective']} defective,"
        f" {result['unreadable']} unreadable; {options.out / FILES[0]}"
    )
    failed = bool(result["problems"]) and not options.watch
    return {**result, "out": str(options.out), "exit_status": int(failed)}


def _is_over(asked: Callable[[], bool], ends: float | None) -> Callable[[], bool]:
    return lambda: asked() or (ends is not None and time.monotonic() >= ends)


def _pause(is_over: Callable[[], bool]) -> Callable[[float], None]:
    """Wait in short steps, so that Ctrl-C is answered at once."""

    def pause(seconds: float) -> None:
        until = time.monotonic() + seconds
        while not is_over() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _BLINK))

    return pause


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.01 <= value <= 1e9:  # NaN is neither
        raise argparse.ArgumentTypeError(f"expected 0.01 seconds or more, found {text}")
    return value
