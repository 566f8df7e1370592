"""What the Data page shows, part by part; each lives when another one fails."""

from __future__ import annotations

from app.data import check as data_check
from app.data import disk as data_cache
from app.data import folders as data_folders
from app.data import glossary as data_glossary
from app.data import own_photos as data_uploads
from app.data import region as data_region
from app.shared import public
from app.shared.page_parts import how_it_works, plain_errors
from app.shared.selection import Selection


def show(selected: Selection | None) -> None:
    """The page below its title."""
    with plain_errors("the data folders"):
        data_folders.folders()
    with plain_errors("the uploads"):
        data_uploads.uploads()
    if selected is not None:
        with plain_errors("the check"):
            data_check.check(selected)
        with plain_errors("where to look"):
            data_region.region(selected)
    if not public.is_public():  # both show paths, and clear what others use
        with plain_errors("the demo"):
            data_cache.demo()
        with plain_errors("the cache"):
            data_cache.cache()
    data_glossary.licences()
    _explanation()
    data_glossary.glossary()


def _explanation() -> None:
    how_it_works(
        "A folder is recognised by its shape, never by its name:\n"
        "```\n"
        "parts/bolt/train/good/*.png               good parts to learn from\n"
        "parts/bolt/test/good/*.png                good parts to test on\n"
        "parts/bolt/test/<defect>/*.png            defective ones, a folder a type\n"
        "parts/bolt/ground_truth/<defect>/*_mask.png   optional: without them no pixel figures\n"
        "```\n"
        "- MVTec AD and LOCO have this shape. MVTec AD 2 has `test_public` for `test`, BTAD `ok`"
        " for `good`. VisA is read as published, with `split_csv/1cls.csv`.\n"
        "- What lies elsewhere is not used, and the check says what would make it used.\n"
        "- Training sees **good photos only**. Test photos tell how well defects are found and are"
        " never learnt from.\n"
        "- Links that lead out of a folder are not followed, and nothing in it is ever written but"
        " `region.png`, where you say so under *Where to look*.\n"
        "- The same photo in two sets makes results too good or wrong: the full check finds it."
    )
