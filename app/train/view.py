"""The Train page: the form, the runs with their progress, and their comparison."""

from __future__ import annotations

from app.shared import jobs, public
from app.shared.page_parts import how_it_works, plain_errors
from app.shared.selection import Selection
from app.train import compare as run_compare
from app.train.form import form
from app.train.run_list import Listed, runs


def show(selected: Selection | None) -> None:
    """The page below its title; without a selection the runs alone, in public mode words alone."""
    if public.is_public():
        _explanation()
        return
    # As they stand before the form is drawn: what ends between the two is a change that the list
    # finds, and the whole page is drawn again, the form's line about it too.
    every: Listed | Exception
    try:
        every = jobs.everything()
    except Exception as error:  # told where the runs would be, the rest of the page stays
        every = error
    if selected is not None:
        with plain_errors("the form"):
            form(selected)
    with plain_errors("the runs"):
        runs(every)
    with plain_errors("the comparison"):
        run_compare.section()
    _explanation()


def _explanation() -> None:
    how_it_works(
        "- The **proxy task**: of each good photo $x$ the trainer makes a positive $x^+$ (colour"
        " jitter), a negative $x^-$ (two patches of the most salient cluster swap places) and a"
        " scar $x_S^-$ (two thin, turned strips do), and the network learns to tell the three.\n"
        "- $$L = \\mathbb{E}_x\\left[\\mathrm{CE}(\\psi(\\varphi(x^+)), 0) +"
        " \\mathrm{CE}(\\psi(\\varphi(x^-)), 1) + \\mathrm{CE}(\\psi(\\varphi(x_S^-)),"
        " 2)\\right]$$\n"
        "- $\\varphi$ is the ResNet18, $\\psi$ a small head that is thrown away afterwards:"
        " PatchCore takes $\\varphi$ alone.\n"
        "- A **healthy loss** begins near $\\ln 3 = 1.10$ and falls unevenly, for every update"
        " sees other fakes. Perfect accuracy after a few updates means that an easy trace gives"
        " the fakes away; accuracy at chance means that nothing is learnt.\n"
        "- A **projector** or **discriminator** learns patch by patch instead, on features that"
        " stay as they are. Its separation is the chance that a changed patch scores above an"
        " unchanged one: 0.5 is guessing. A **gaussian** learns nothing and only measures what good"
        " photos have at each place: what the other two must beat.\n"
        "- **Accuracy on fakes is not detection.** Only scores on real defects tell whether tuning"
        " helped: open the run in Inspect, or compare it in Results. After a short run the"
        " difference is often smaller than another seed's.\n"
        "- The three accuracies together say which class is hard: CutSwap patches usually are, for"
        " they come from the photo itself."
    )
