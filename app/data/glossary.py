"""Glossary of the method, and credits."""

from __future__ import annotations

import streamlit as st

GLOSSARY = (
    ("$x$", "a good training photo"),
    ("$x^+$", "its **positive**: the same photo with slightly other colours"),
    ("$x^-$", "its **negative**: two patches of the positive have swapped places"),
    ("$x_S^-$", "the **scar** negative: two thin, turned strips have"),
    (
        "$M_l$",
        "**saliency** of layer $l$ by LayerCAM: how much each place speaks for a class,"
        " $M_l = \\mathrm{ReLU}\\big(\\sum_k \\mathrm{ReLU}(G_k) \\odot A_k\\big)$",
    ),
    ("$A_k,\\ G_k$", "activation of channel $k$ there, and the class score's gradient by it"),
    ("$N_s$", "number of levels (layers) used; the paper: 5, VGG16's 4, 9, 16, 23, 30"),
    ("$K$", "number of K-means clusters of saliency values; the paper: 4"),
    ("max cluster", "the cluster with the largest mean saliency; **anchors** are drawn from it"),
    ("anchor", "upper-left corner of a patch, $a_1$ and $a_2$ for the two"),
    ("$\\varphi$", "feature extractor, a ResNet18; what fine-tuning changes and PatchCore uses"),
    ("$\\psi$", "small head that tells positive, patch and scar; thrown away after training"),
    ("$D$", "width of $\\varphi$'s pooled features: 512"),
    ("2-way, 3-way", "classes told apart: positive and patch, or these and scar"),
    ("CutPaste", "the older kind of negative: one patch, cut and pasted anywhere"),
    ("PatchCore", "scores a photo by how far its patch features lie from those of good photos"),
    ("memory bank", "the patch features of good photos that PatchCore keeps"),
    ("coreset", "share of those kept, spread as evenly as possible; the paper: 0.001 and 0.01"),
    ("heatmap", "distance of every patch to the bank, enlarged and smoothed; no probability"),
    ("image score", "the largest patch distance of a photo"),
    ("threshold", "scores at or above it are called defective"),
    (
        "AUROC",
        "chance that a random defective image (or pixel) scores above a random good one;"
        " 0.5 is guessing",
    ),
    (
        "AUPRO",
        "mean covered share of each defect, up to 30% false positive pixels: small defects"
        " count as much as large ones",
    ),
    (
        "precision, recall, F1",
        "share of alarms that are right; share of defects that are found; their harmonic mean",
    ),
)

LICENCES = (
    ("Demo pictures", "rendered by this project", "CC0 1.0"),
    (
        "Embedded weights",
        "distilled by this project from torchvision's ResNet18 and SqueezeNet"
        " (BSD) on 1,000 ImageNet sample photos that are not included",
        "README, Weights",
    ),
    (
        "The method",
        "Qin, Gu, Yu, Zhang: Multilevel Saliency-Guided Self-Supervised Learning for"
        " Image Anomaly Detection; this is an independent implementation",
        "numbers quoted, marked",
    ),
    (
        "MVTec AD, if you add it",
        "Bergmann et al.: not included; not for commercial use",
        "CC BY-NC-SA 4.0",
    ),
    (
        "VisA, if you add it",
        "Zou et al.: not included; its repository says CC BY 4.0, others say CC BY-NC-SA 4.0",
        "see its own licence file",
    ),
    ("The code", "this repository", "MIT"),
)


def glossary() -> None:
    """Every word, folded away."""
    with st.expander("Glossary: the paper's words and symbols", icon=":material/menu_book:"):
        lines = ["| word | meaning |", "|---|---|"]
        st.markdown("\n".join([*lines, *(f"| {word} | {text} |" for word, text in GLOSSARY)]))


def licences() -> None:
    """Where everything comes from."""
    with st.expander("Attribution and licences", icon=":material/gavel:"):
        lines = ["| what | from | licence |", "|---|---|---|"]
        rows = [f"| {what} | {origin} | {licence} |" for what, origin, licence in LICENCES]
        st.markdown("\n".join([*lines, *rows]))
