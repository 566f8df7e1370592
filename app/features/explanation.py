"""Words and numbers of the Features page: the answer, its figures, how it works, the command."""

from __future__ import annotations

import streamlit as st

from app.features.collecting import WantedFeatures
from app.shared.page_parts import command_line, how_it_works
from app.shared.selection import Selection
from cutswap.analysis.feature_separation import Estimate, SeparationMetrics, Share
from cutswap.analysis.feature_set import FeatureSet
from cutswap.data.records import GOOD
from cutswap.flags import flags_from

_HEAD_ROWS = {"positive": "positives", "patch": "patch negatives", "scar": "scars"}


def explanation() -> None:
    """Explain the plot and its limits."""
    how_it_works(
        r"""
Fine-tuning teaches $\phi$ and a small head $\psi$ to tell positives $x^+$ from negatives $x^-$:

$$g = \phi(x) \in \mathbb{R}^{512}, \qquad y = \psi(g), \qquad p(\text{positive} \mid x) =
\mathrm{softmax}(y)_0 .$$

$\psi$ is thrown away afterwards, in the hope that $\phi$ has learnt something about **defects** and
not about **swapped patches**. Here $g$ is drawn in two dimensions, before and after. If real
defects (vermilion) lie with the negatives and real good parts with the positives, the hope is
fulfilled; if they all lie with the positives, the network has learnt the fakes alone.

- The positives and negatives are **new samples**: numbers beyond those the run trained
  on. Their photos are the training photos all the same; only the test photos are new to it.
- Before and after are two spaces with a picture each: compare who lies beside whom, not places.
- Two of 512 dimensions hide much. The numbers use all 512.
- PatchCore reads layer2 and layer3, not $g$: a boundary that fails here may still help there.
- An interval without width means that all resamples agree, not certainty: a test set of a few
  images has few different resamples.
"""
    )


def command(selected: Selection, wanted: WantedFeatures, seed: int) -> None:
    """The command that gives the very numbers on this page."""
    command_line(
        features_command(selected, wanted, seed),
        note="Writes points.csv, figures.json and the features of both networks.",
    )


def features_command(selected: Selection, wanted: WantedFeatures, seed: int) -> list[object]:
    """Words after `python -m cutswap` that give the same points and figures."""
    flags: list[object] = ["--run", wanted.run, "--data", selected.dataset.root]
    flags += flags_from(wanted.settings)
    if seed:
        flags += ["--seed", seed]
    return ["features", *flags, "--out", "runs/features"]


def numbers(metrics: SeparationMetrics, features: FeatureSet) -> None:
    """Figures with their intervals, and the head's own decisions by type of defect."""
    st.subheader("The numbers behind the picture", anchor=False)
    rows = [
        "| All 512 dimensions; chance is 0.50 | before tuning | after tuning |",
        "|---|---|---|",
        _row(
            "Positives from negatives, by a linear classifier",
            metrics.fakes_before,
            metrics.fakes_after,
        ),
        _row(
            "Real defects from good photos, by the same classifier",
            metrics.real_before,
            metrics.real_after,
        ),
        _row("... and the change by fine-tuning", None, metrics.real_change, "+"),
        _row("Real defects from good photos, by the run's own head", None, metrics.head),
    ]
    st.markdown("\n".join(rows))
    st.caption(
        "In brackets: 95% bootstrap intervals. The linear classifier is a logistic regression that"
        " tells positives from negatives. First row: its balanced accuracy on new samples,"
        " cross-validated so that all images of a photo are in one fold; photos are resampled."
        " Other rows: AUROC, the chance that a defect scores above a good test photo; test photos"
        " are resampled, the classifier stays as it is. The head's score is 1 - p(positive)."
    )
    if features.scores is None:
        st.info(
            f"The head's own figures are missing: {features.about['head']}.",
            icon=":material/info:",
        )
        return
    left, right = st.columns(2)
    with left:
        st.markdown("**Test photos the head calls defective**")
        _shares(
            "type",
            {
                f"{name} (false alarms)" if name == GOOD else name: share
                for name, share in metrics.called.items()
            },
            "called defective",
        )
    with right:
        st.markdown("**New samples the head classifies correctly**")
        _shares(
            "draw", {_HEAD_ROWS[n]: s for n, s in metrics.head_fakes.items()}, "given its own class"
        )
    st.caption("The head's decision is its largest class; any but positive means defective.")


def _row(name: str, before: Estimate | None, after: Estimate | None, sign: str = "") -> str:
    cells = ["–" if x is None else x.text(sign) for x in (before, after)]
    return f"| {name} | {cells[0]} | {cells[1]} |"


def _shares(first: str, shares: dict[str, Share], second: str) -> None:
    rows: dict[str, list[object]] = {
        first: list(shares),
        second: [share.text() for share in shares.values()],
    }
    st.dataframe(rows, hide_index=True, width="stretch", height="content")
