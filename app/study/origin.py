"""How a study's figures were made, as their files say it."""

from __future__ import annotations

from typing import Any

from cutswap.errors import CutSwapError
from cutswap.figures.figure_files import Origin
from cutswap.studies.flags import repeat_study
from cutswap.studies.folder import Study


def study_origin(study: Study, title: str, **settings: Any) -> Origin:
    """With the command that repeats the study; without one where its settings would be refused.

    Args:
        study: the study.
        title: of the figure.
        **settings: what the figure shows of it.
    """
    try:
        commands = [repeat_study(study)]
    except CutSwapError:  # edited by hand: the page says so
        commands = []
    return Origin(title, {"study": study.name, "settings": study.settings, **settings}, commands)
