"""The Start page's four pictures, drawn from the demo by the library itself.

`python -m app.start.story` (or `make story`) makes them anew in `assets/story`; they ship, so that
the first page needs neither torch nor the demo data.
"""

from __future__ import annotations

from pathlib import Path

from cutswap.installation.shipped import assets

FOLDER = assets() / "story"
CATEGORY, INDEX, LAYER, K, SEED, SIZE = "hex_nut", 0, "16", 4, 4, 256
STEPS = (
    ("input", "A good part", "Only photos of good parts are needed."),
    ("saliency", "Where the network looks", "LayerCAM shows it, at several depths."),
    ("clusters", "Pixels it looks at alike", "K-means groups the saliency values."),
    ("negative", "Two of them swap places", "A made-up defect that looks plausible."),
)


def picture(step: str) -> Path:
    """File of one step's picture."""
    return FOLDER / f"{step}.jpg"


def make_story() -> None:
    """Draw and write the four pictures."""
    from app.viewer.pictures import jpeg
    from cutswap.config import ClusterSettings, NegativeSettings, WeakAugmentation
    from cutswap.data.demo.render import demo_root
    from cutswap.data.images import read_photo, resize_photo, to_image
    from cutswap.negatives.single_image import draw_many
    from cutswap.networks.backbone import load_backbone
    from cutswap.saliency.clusters import cluster_saliency
    from cutswap.saliency.layercam import explain
    from cutswap.utils.files import write_bytes
    from cutswap.utils.overlays import blend, colour_regions, colourise, outline

    path = demo_root() / CATEGORY / "train" / "good" / f"{INDEX:03d}.png"
    photo = resize_photo(read_photo(path), (SIZE, SIZE))
    saliency = explain(load_backbone("vgg16"), to_image(photo[None]), (LAYER,))
    level = saliency.upsampled((SIZE, SIZE))[0, 0].numpy()
    regions = cluster_saliency(level, K).regions(level)
    ((_, negative, _),) = draw_many(
        photo,
        level,
        NegativeSettings(),
        ClusterSettings(k=K),
        WeakAugmentation(jitter=0.0),
        count=1,
        seed=SEED,
        layer=LAYER,
    )
    pictures = {
        "input": photo,
        "saliency": blend(photo, colourise(level), 0.65),
        "clusters": outline(blend(photo, colour_regions(regions), 0.55), regions == K - 1),
        "negative": negative.photo,
    }
    for name, array in pictures.items():
        write_bytes(picture(name), jpeg(array))


if __name__ == "__main__":
    make_story()
