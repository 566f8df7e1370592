"""`python -m cutswap detectable`: how small a defect a detector finds, and where it finds none."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutswap.commands.common import add_threshold, asked_rate, say, seed
from cutswap.commands.own_outputs import claim
from cutswap.config import SCORES, DetectableSettings
from cutswap.flags import add_flags, settings_from
from cutswap.utils.progress import Bars

if TYPE_CHECKING:
    from cutswap.decision.detectable.blind_spots import BlindSpots
    from cutswap.decision.detectable.measured import Limits, Measured
    from cutswap.decision.detectable.measuring import GoodPhotos
    from cutswap.evaluation.scored_set import ScoredSet

TABLE, MAP = "defects.csv", "blind_spots.png"
MAP_SIDE = 512  # pixels of the map where no evaluation of labelled photos says another


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `detectable`."""
    parser.add_argument(
        "--evaluation",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder that evaluate wrote; detectable.json, what was measured, is put into it",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="DIR",
        help="folder of good photos to paint on, which the detector has not learnt [the"
        " evaluation's good test photos]",
    )
    add_threshold(parser, "evaluation")
    parser.add_argument(
        "--score", choices=SCORES, help="whose scores count, of an evaluation with a head [its own]"
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of every draw [0]")
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:N [auto]")
    parser.add_argument(
        "--again", action="store_true", help="measure again, though the same was measured before"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"folder for {TABLE}, a line a defect, and {MAP}, the map over a photo",
    )
    add_flags(parser, DetectableSettings)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Paint, score, and tell sizes and blind spots at the detector's threshold."""
    from cutswap.decision.detectable.blind_spots import blind_spots
    from cutswap.decision.detectable.limits import limits_of, threshold_of
    from cutswap.decision.detectable.measured import need_own_place
    from cutswap.decision.detectable.measuring import good_photos
    from cutswap.decision.detectable.wording import lines
    from cutswap.decision.open_detector import need_detector
    from cutswap.evaluation.scored_set import read_scored
    from cutswap.utils.folder_names import RESULT

    settings = settings_from(options, DetectableSettings)
    rate = asked_rate(options)
    own = claim(options.out, options.command, (TABLE, MAP), options.json) if options.out else None
    need_detector(options.evaluation)
    need_own_place(options.evaluation)
    is_labelled = (options.evaluation / RESULT).exists()
    scored = read_scored(options.evaluation, score=options.score) if is_labelled else None
    summary = None if scored is None else scored.summary
    threshold, how = threshold_of(
        options.evaluation, summary, rate=rate, threshold=options.threshold
    )
    photos = good_photos(options.evaluation, options.photos)
    measured = _measured(options, settings, photos)
    limits, how_pixel = limits_of(threshold, summary, measured)
    spots = blind_spots(measured, limits)
    for line in lines(measured, limits, how, how_pixel, spots):
        print(line)
    if own is not None:
        with own.writing():
            _write(options.out, measured, limits, spots, photos, scored)
    return _result(measured, limits, spots)


def _measured(
    options: argparse.Namespace, settings: DetectableSettings, photos: GoodPhotos
) -> Measured:
    """From the file where it holds the same, else anew; then it is written."""
    from cutswap.decision.detectable.measured import mark_of, read_measured, write_measured
    from cutswap.decision.detectable.measuring import measure
    from cutswap.decision.open_detector import read_evaluated
    from cutswap.errors import CutSwapError
    from cutswap.utils.devices import choose_device

    before = None
    try:
        before = read_measured(options.evaluation)
    except CutSwapError as error:
        say(f"{error} It is measured again.")
    if before is not None and not options.again:
        score = options.score or read_evaluated(options.evaluation, threshold=0.0).score
        same = (mark_of(options.evaluation, score), settings, options.seed, photos.source)
        if same == (before.mark, before.settings, before.seed, before.source):
            say("measured before; --again measures again")
            return before
    with Bars(options.quiet) as bars:
        measured = measure(
            options.evaluation,
            settings,
            photos=photos,
            score=options.score,
            seed=options.seed,
            device=str(choose_device(options.device)),
            notify=bars,
        )
    say(f"{write_measured(measured, options.evaluation)}: {measured.seconds:.0f} s")
    return measured


def _write(
    out: Path,
    measured: Measured,
    limits: Limits,
    spots: BlindSpots,
    photos: GoodPhotos,
    scored: ScoredSet | None,
) -> None:
    from cutswap.data.images import read_photo, save_png
    from cutswap.decision.detectable.blind_spots import map_picture
    from cutswap.utils.files import write_text

    write_text(out / TABLE, measured.table(limits))
    record = photos.records[0]
    photo = read_photo(record.image, record.bits)
    side, region = (MAP_SIDE, None) if scored is None else (scored.size, scored.region)
    save_png(out / MAP, map_picture(photo, spots, measured.resize, side, region))


def _result(measured: Measured, limits: Limits, spots: BlindSpots) -> dict[str, Any]:
    from cutswap.decision.detectable.wording import rows

    return {
        "threshold": limits.image,
        "pixel_threshold": limits.pixel,
        "photos": len(measured.names),
        "alarms": measured.alarms(limits),
        "defects": len(measured.kinds),
        "curves": rows(measured, limits),
        "blind": spots.is_blind.tolist(),
        "found": spots.found.tolist(),
        "count": spots.count.tolist(),
        "expected": spots.expected.tolist(),
        "seconds": measured.seconds,
    }
