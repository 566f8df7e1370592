"""The moving picture at the top of README: photo, saliency, clusters, swap, heatmap.

    python -m tests.readme_animation [--demo runs/demo] [--frames out/frames]

Every picture in it is output of this project on its rendered demo data: LayerCAM of the embedded
VGG16, K-means, one CutSwap negative painted by its own record, and the heatmap of the network that
`cutswap demo` has fine-tuned (the demo is run first where `--demo` holds none, about a minute).
Writes assets/readme/pipeline.webp; `--frames` also writes one PNG a step, to be looked at.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cutswap.commands.demo_chain import SCORED, run_demo
from cutswap.config import ClusterSettings, NegativeSettings
from cutswap.data.demo.render import demo_root
from cutswap.data.images import read_photo, resize_photo, to_image
from cutswap.evaluation.scored_set import ScoredSet, read_scored
from cutswap.negatives.draw import Negative, draw_negative
from cutswap.networks.backbone import load_backbone
from cutswap.saliency.clusters import cluster_saliency
from cutswap.saliency.layercam import explain
from cutswap.utils.overlays import CATEGORY_COLOURS, blend, colourise

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "assets" / "readme" / "pipeline.webp"
CATEGORY, INDEX, LAYER, K, SEED = "hex_nut", 0, "16", 4, 20
TEST = "test/scratch/002"

WIDTH, HEIGHT, MARGIN, CORNER = 1200, 520, 28, 18  # pixels; README shows it 800 wide
STAGE = HEIGHT - 2 * MARGIN  # side of the large picture
THUMB, ROW = 76, 93
CARD, BORDER, QUIET, TEXT = (22, 27, 34), (48, 54, 61), (139, 148, 158), (240, 246, 252)
ACCENT = (230, 159, 0)  # Okabe and Ito's orange, as the most salient cluster has it
FIRST, SECOND = (255, 214, 10), (0, 194, 255)  # the two patches, as on the Negatives page
FADE, SLOW = 60, 80  # milliseconds a frame of a transition

STEPS = (
    ("Photo", "of a good part: training needs no defects"),
    ("Saliency", "LayerCAM of a VGG16 at five depths"),
    ("Clusters", "K-means; the most salient is outlined"),
    ("Swap", "two patches anchored there swap places"),
    ("Heatmap", "PatchCore, after fine-tuning on such swaps"),
)


@dataclass
class Film:
    """The frames so far.

    Attributes:
        frames: RGBA, all (WIDTH, HEIGHT).
        times: milliseconds of each.
        thumbs: pictures of the finished steps, (S, S, 3) uint8.
        keys: the last frame of each finished step.
    """

    frames: list[Image.Image] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    thumbs: list[np.ndarray] = field(default_factory=list)
    keys: list[Image.Image] = field(default_factory=list)

    def add(self, stage: np.ndarray, label: str, milliseconds: int) -> None:
        """One frame: the large picture with its label, and the list of steps."""
        self.frames.append(frame(stage, label, self.thumbs))
        self.times.append(milliseconds)

    def fade(self, before: np.ndarray, after: np.ndarray, label: str, steps: int = 5) -> None:
        """From one picture to the next."""
        for step in range(1, steps + 1):
            self.add(blend(before, after, eased(step / steps)), label, FADE)

    def close_step(self, stage: np.ndarray, label: str, hold: int) -> None:
        """Keep the picture as the step's thumbnail and hold it."""
        self.add(stage, label, hold)
        self.keys.append(self.frames[-1])
        self.thumbs.append(stage)


def eased(share: float) -> float:
    """Slow, fast, slow: 0 to 1."""
    return share * share * (3 - 2 * share)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface: the same on every machine."""
    return ImageFont.load_default(size)


def rounded(picture: np.ndarray, side: int, radius: int) -> tuple[Image.Image, Image.Image]:
    """A picture scaled to a square, and its mask with round corners."""
    scaled = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
    return scaled, corners((side, side), radius)


def corners(size: tuple[int, int], radius: int) -> Image.Image:
    """White with round corners on black, smoothed."""
    large = Image.new("L", (size[0] * 4, size[1] * 4), 0)
    ImageDraw.Draw(large).rounded_rectangle(
        (0, 0, large.width - 1, large.height - 1), radius * 4, fill=255
    )
    return large.resize(size, Image.Resampling.LANCZOS)


def frame(stage: np.ndarray, label: str, thumbs: list[np.ndarray]) -> Image.Image:
    """The whole card; the step after the finished ones is the current one."""
    card = Image.new("RGB", (WIDTH, HEIGHT), CARD)
    draw = ImageDraw.Draw(card)
    draw.rounded_rectangle((0, 0, WIDTH - 1, HEIGHT - 1), CORNER, outline=BORDER, width=2)
    picture, mask = rounded(stage, STAGE, 12)
    card.paste(picture, (MARGIN, MARGIN), mask)
    if label:
        left, top, right, bottom = draw.textbbox((0, 0), label, font=font(22))
        x, y = MARGIN + 14, MARGIN + 14
        box = Image.new("RGB", (int(right - left) + 24, int(bottom - top) + 22), CARD)
        card.paste(box, (x, y), corners(box.size, 8))
        draw.text((x + 12 - left, y + 11 - top), label, font=font(22), fill=TEXT)
    left = MARGIN + STAGE + 40
    for number, (title, words) in enumerate(STEPS):
        top = MARGIN + number * ROW + (STAGE - ROW * len(STEPS) + ROW - THUMB) // 2
        done, now = number < len(thumbs), number == min(len(thumbs), len(STEPS) - 1)
        place = (left, top, left + THUMB, top + THUMB)
        if done:
            small, mask = rounded(thumbs[number], THUMB, 9)
            card.paste(small, place[:2], mask)
        draw.rounded_rectangle(place, 9, outline=ACCENT if now else BORDER, width=3 if now else 2)
        if not done:
            draw.text(
                (left + THUMB / 2, top + THUMB / 2),
                str(number + 1),
                font=font(30),
                anchor="mm",
                fill=ACCENT if now else QUIET,
            )
        draw.text(
            (left + THUMB + 24, top + 10),
            title,
            font=font(28),
            fill=ACCENT if now else TEXT if done else QUIET,
        )
        draw.text((left + THUMB + 24, top + 47), words, font=font(21), fill=TEXT if now else QUIET)
    card.putalpha(corners(card.size, CORNER))
    return card


def large(array: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 3) to the stage's size, smooth."""
    return cv2.resize(array, (STAGE, STAGE), interpolation=cv2.INTER_CUBIC)


def ring(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A copy with the mask's border drawn, smoothed."""
    shapes, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = picture.copy()
    cv2.drawContours(drawn, shapes, -1, (0, 0, 0), 5, cv2.LINE_AA)
    cv2.drawContours(drawn, shapes, -1, colour, 2, cv2.LINE_AA)
    return drawn


def saliency_and_clusters(film: Film, photo: np.ndarray) -> np.ndarray:
    """Steps two and three; gives the map, (H, W) in [0, 1], that guides the swap."""
    found = explain(load_backbone("vgg16"), to_image(photo[None]))
    maps = found.upsampled(photo.shape[:2])[0].numpy()
    ground, shown = large(photo), large(photo)
    guide = found.layers.index(LAYER)
    for index in (*range(len(maps)), guide):  # all levels, then back to the one that guides
        heat = blend(ground, colourise(large(maps[index])), 0.7)
        film.fade(shown, heat, f"layer {found.layers[index]}")
        film.add(heat, f"layer {found.layers[index]}", 260)
        shown = heat
    level = maps[guide]
    film.close_step(shown, f"layer {LAYER}", 700)

    clusters = cluster_saliency(level, K)
    regions = clusters.regions(large(level))
    coloured = blend(ground, CATEGORY_COLOURS[regions], 0.6)
    for cluster in range(K):
        grown = np.where((regions <= cluster)[..., None], coloured, heat)
        film.fade(shown, grown, f"K = {K}", 3)
        shown = grown
    outlined = ring(coloured, regions == K - 1, (255, 255, 255))
    film.add(shown, f"K = {K}", 400)
    film.close_step(outlined, f"K = {K}", 1000)
    return level


def swap(film: Film, photo: np.ndarray, negative: Negative, start: np.ndarray) -> np.ndarray:
    """Step four: both patches move to each other's place; ends as the negative itself."""
    scale = STAGE / photo.shape[0]
    first, second = negative.record.moves  # the patch that goes to a1, the one that goes to a2
    ground = large(photo)

    def drawn(share: float, frames: float = 1.0) -> np.ndarray:
        picture = ground.copy()
        boxes = []
        for move, colour in ((first, SECOND), (second, FIRST)):
            y, x, height, width = (round(v * scale) for v in move.source)
            to_y, to_x = (round(v * scale) for v in move.target)
            at_y, at_x = round(y + (to_y - y) * share), round(x + (to_x - x) * share)
            picture[at_y : at_y + height, at_x : at_x + width] = ground[
                y : y + height, x : x + width
            ]
            boxes.append(((at_x, at_y), (at_x + width, at_y + height), colour))
        framed = picture.copy()
        for corner, other, colour in boxes:
            cv2.rectangle(framed, corner, other, (0, 0, 0), 6)
            cv2.rectangle(framed, corner, other, colour, 3)
        return blend(picture, framed, frames)

    film.fade(start, drawn(0.0), "two patches, same size")
    film.add(drawn(0.0), "two patches, same size", 700)
    for step in range(1, 15):
        film.add(drawn(eased(step / 14)), "swap", SLOW)
    film.add(drawn(1.0), "swap", 300)
    painted = large(negative.photo)
    film.fade(drawn(1.0), painted, "negative", 4)
    film.close_step(painted, "negative", 1400)
    return painted


def heatmap(film: Film, scored: ScoredSet, start: np.ndarray) -> None:
    """Step five: a test photo with a defect, and where bank and projector see it."""
    index = scored.names.index(TEST)
    record = scored.need_records()[index]
    photo = large(resize_photo(read_photo(record.image), (scored.size, scored.size)))
    mask = large(np.asarray(Image.open(record.mask).convert("L"))) > 127
    film.fade(start, photo, "test photo")
    film.add(photo, "test photo", 900)
    heat = blend(photo, colourise(large(np.array(scored.heatmaps[index])), *scored.range), 0.65)
    film.fade(photo, heat, "heatmap", 7)
    film.add(heat, "heatmap", 500)
    threshold = scored.summary["threshold"]
    score = scored.scores[index]
    if score <= threshold:
        raise SystemExit(f"{TEST} is not found by this run: choose another test photo")
    label = f"score {score:.2f}, threshold {threshold:.2f}: defect found"
    film.close_step(ring(heat, mask, (255, 255, 255)), label, 3200)


def make_film(demo: Path) -> Film:
    """All steps."""
    if not (demo / SCORED / "result.json").is_file():
        run_demo(demo, category=CATEGORY)
    path = demo_root() / CATEGORY / "train" / "good" / f"{INDEX:03d}.png"
    photo = read_photo(path)
    film = Film()
    film.close_step(large(photo), "good part", 1100)
    level = saliency_and_clusters(film, photo)
    negative = draw_negative(photo, level, NegativeSettings(), ClusterSettings(k=K), seed=(SEED,))
    painted = swap(film, photo, negative, film.thumbs[-1])
    heatmap(film, read_scored(demo / SCORED), painted)
    return film


def main() -> None:
    """Draw it and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=ROOT / "runs" / "demo")
    parser.add_argument("--frames", type=Path, help="folder for one PNG a step")
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    film = make_film(options.demo)
    first, *rest = film.frames
    first.save(
        options.out,
        save_all=True,
        append_images=rest,
        duration=film.times,
        loop=0,
        quality=82,
        method=6,
    )
    print(
        f"{options.out}: {len(film.frames)} frames, {sum(film.times) / 1000:.1f} s,"
        f" {options.out.stat().st_size / 1e6:.2f} MB"
    )
    if options.frames:
        options.frames.mkdir(parents=True, exist_ok=True)
        for number, key in enumerate(film.keys):
            key.save(options.frames / f"{number}_{STEPS[number][0].lower()}.png")


if __name__ == "__main__":
    main()
