"""The Inspect page: one photo large beside the threshold, all photos as a contact sheet.

Order matters for speed: sliders and the picture come before tables and charts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.figures.chart_files import chart_config
from app.figures.take_home import Figure, of_chart, take_home
from app.inspect_heatmaps import caches as inspect_caches
from app.inspect_heatmaps import charts as inspect_charts
from app.inspect_heatmaps import compare as inspect_compare
from app.inspect_heatmaps import explanation as inspect_words
from app.inspect_heatmaps import missed as inspect_missed
from app.inspect_heatmaps import nearest_normal as inspect_nearest
from app.inspect_heatmaps import thresholds as inspect_thresholds
from app.inspect_heatmaps import unlabelled as inspect_unlabelled
from app.inspect_heatmaps.caches import BankKey, Scoring, Truth
from app.inspect_heatmaps.controls import InspectRequest, controls
from app.inspect_heatmaps.deciding import feedback, from_good, leaving, one_photo
from app.inspect_heatmaps.deciding.held_out import GoodPhotos
from app.inspect_heatmaps.deciding.words import Saying
from app.inspect_heatmaps.detectable import view as detectable
from app.inspect_heatmaps.heads import MEANINGS, each_misses, join_words
from app.inspect_heatmaps.nearest_normal import hottest_patch
from app.inspect_heatmaps.painting import view as painting
from app.inspect_heatmaps.picture import SHARP, Called, Heat, picture, settings_of
from app.inspect_heatmaps.resolve import resolve, wait_for
from app.inspect_heatmaps.review import contact_sheet, kept
from app.inspect_heatmaps.review.report import report_button
from app.inspect_heatmaps.review.reviewed import Reviewed
from app.inspect_heatmaps.review.steps import step_buttons
from app.shared import caches
from app.shared.background import wait
from app.shared.caches import PhotoKey
from app.shared.knobs import set_knob
from app.shared.page_parts import plain_errors, plain_text
from app.shared.selection import Selection, select
from app.viewer.viewer import Picture, viewer
from cutswap.config import PatchCoreSettings
from cutswap.data.records import Record
from cutswap.data.regions.region_of_interest import with_resize
from cutswap.decision.feedback import fed_back
from cutswap.evaluation.scored_set import ScoredSet
from cutswap.evaluation.thresholds import ThresholdCounts
from cutswap.evaluation.unlabelled import is_labelled
from cutswap.evaluation.verdicts import Verdict, verdict_of
from cutswap.figures.figure_files import Origin
from cutswap.patchcore.memory_bank import Prediction
from cutswap.patchcore.nearest_normal import NearestNormal, Place
from cutswap.reports.repeat import evaluate_again
from cutswap.utils.folder_names import DECISION, DETECTOR, RESULT


def show(selected: Selection) -> None:
    """The page below its title.

    Raises:
        CutSwapError: weights that cannot be loaded, a damaged evaluation.
    """
    with plain_errors("the photo"):
        record = selected.record
        key = PhotoKey.of_record(record, SHARP)
        if note := caches.depth_note(key):
            st.warning(note, icon=":material/exposure:")
    asked = controls(selected, painting.is_asked)
    if asked.is_painting:
        asked = painting.with_before(asked)
    slot = st.empty()
    body, tail = st.container(), st.container()
    with tail:  # drawn first: the body may wait for an evaluation
        inspect_words.explanation()
        inspect_words.commands(asked)
    with body:
        if asked.saved is None and not is_labelled(selected.category):
            if asked.is_painting:
                st.info(
                    "Painting needs test photos sorted into good and defective.",
                    icon=":material/brush:",
                )
            inspect_unlabelled.show(asked)
            wait(slot)
            return
        resolved = resolve(asked)
        if resolved.scored is None:
            _photo_alone(selected)
        elif asked.is_painting and not resolved.scored.is_tiled:
            painting.show(asked, resolved.scored)
        else:
            if asked.is_painting:
                st.info(
                    "Painting needs an evaluation whose photos become squares; this one cuts them"
                    " into tiles.",
                    icon=":material/brush:",
                )
            _Screen.of(asked, resolved.scored).draw()
    if resolved.is_waiting:
        wait_for(asked.wanted, slot)
    inspect_compare.wait(asked, slot)
    wait(slot)


def _photo_alone(selected: Selection) -> None:
    """In the place of the picture to come."""
    photo = caches.photo(PhotoKey.of_record(selected.record, 512))
    left, _ = st.columns([3, 2])
    with left:
        viewer(
            Picture(photo, alt=f"{selected.record.name}, not scored", left="not scored"),
            key="heat",
            memory="heat",
            group="heat",
        )


@dataclass(frozen=True)
class _Places:
    """What sees each other on one screen; `words` tells what two pictures have in common."""

    picture: DeltaGenerator
    threshold: DeltaGenerator
    confusion: DeltaGenerator | None  # None: below the threshold's slider
    scores: DeltaGenerator
    words: DeltaGenerator


@dataclass(frozen=True)
class _Screen:
    """Everything that one rerun draws."""

    asked: InspectRequest
    scored: ScoredSet
    images: ThresholdCounts
    truth: Truth | None
    index: int | None  # of the selected image in the test set; None for a training photo

    @classmethod
    def of(cls, asked: InspectRequest, scored: ScoredSet) -> _Screen:
        truth = None
        if scored.records is None and scored.lost is not None:
            st.warning(
                f"The photos of these numbers are gone or changed: {plain_text(scored.lost.found)}"
                f" ({plain_text(scored.lost.subject)}). To fix it: {plain_text(scored.lost.fix)}.",
                icon=":material/folder_off:",
            )
        with plain_errors("the masks"):
            truth = inspect_caches.truth(scored)
        name = asked.selected.record.name
        index = scored.names.index(name) if name in scored.names else None
        return cls(asked, scored, inspect_caches.image_tally(scored), truth, index)

    @property
    def record(self) -> Record:
        return replace(self.asked.selected.record, resize=self.scored.resize)

    @property
    def bank(self) -> BankKey:
        return BankKey.of(self.scored.bank_file)

    @property
    def score(self) -> str:
        """Kind of the scores shown: bank, head or both."""
        return self.asked.score or "bank"

    @property
    def is_by_head(self) -> bool:
        """Whether a head has a say in them."""
        return self.score != "bank"

    @property
    def _learnt(self) -> Sequence[Record]:
        """Photos that the bank was fitted on: without what was left out."""
        out = {entry.get("path") for entry in self.scored.summary["data"].get("left_out", [])}
        category = with_resize(self.asked.selected.category, self.scored.resize)
        return [r for r in category.train if str(r.image) not in out]

    @property
    def train(self) -> Sequence[Record]:
        """The same with what is fine."""
        category = with_resize(self.asked.selected.category, self.scored.resize)
        return [*self._learnt, *fed_back(self.scored.summary, category)]

    def draw(self) -> None:
        blocks = [
            st.container(key="inspect_screen") if n == 1 else st.container() for n in range(12)
        ]
        top, screen, said, near, sheet, yours = blocks[:6]
        list_, leaves, missed, small, pixel_place, curves = blocks[6:]
        pixels = inspect_thresholds.tally_of(self.truth)
        with screen:
            places = self._places()
        with places.threshold:
            image, prices = inspect_thresholds.image_threshold(
                self.scored, self.images, places.confusion, self._from_good
            )
        with pixel_place:
            st.subheader("Pixel threshold", anchor=False)
            pixel = inspect_thresholds.pixel_threshold(self.scored, pixels, prices)
        reviewed = self._reviewed(image)
        heat = compared = None
        with places.picture, plain_errors("the heatmap"):
            heat = self.heat()
            compared = self._picture(heat, image, pixel, places.words)
        with top, plain_errors("the verdict"):
            self._headline(heat, image)
        with places.scores, plain_errors("the scores"):
            step_buttons(reviewed.most_wrong(), self.record.name, "Worst mistake")
            self._number_line(heat, image)
            if self.index is not None:
                kept.keep_box(reviewed.category, self.record.name)
        with said, plain_errors("the feedback"):
            self._feedback(image, places.scores)
        with yours, plain_errors("a photo of your own"):
            one_photo.section(self.scored, self.asked.score, self.images.acting(image))
        with near, plain_errors("the nearest normal patch"):
            if self.asked.score is not None:
                st.caption(join_words(self.scored))
            if self.scored.is_padim:
                st.caption(
                    "PaDiM remembers no patches, so there is no most similar one: each place is"
                    " compared with its own mean over the good photos."
                )
            if heat is not None and compared is not None:
                own = self.scored.settings
                inspect_nearest.section(
                    compared,
                    self.record,
                    is_heat=not self.is_by_head,
                    is_paired=isinstance(own, PatchCoreSettings) and own.whitening == "both",
                )
        with sheet, plain_errors("the contact sheet"):
            contact_sheet.section(reviewed, self.record.name)
        with list_, plain_errors("the kept photos"):
            st.subheader("Kept photos and report", anchor=False)
            kept.section(reviewed)
            report_button(self.scored, image, prices, reviewed.category)
        with leaves, plain_errors("the detector"):
            leaving.section(self.scored, self.bank, self.images.acting(image))
        with missed, plain_errors("which defects are missed"):
            masks = None if self.truth is None else self.truth.masks
            acting = self.images.acting(image)
            inspect_missed.section(self.scored, masks, acting)
            each_misses(self.scored, self.asked.selected.category)
        with small:
            detectable.section(self.scored, self.images.acting(image), pixel)
        with curves, plain_errors("the curves"):
            figures = inspect_thresholds.curves(image, pixel, self.images, pixels)
            self._charts_to_take_home(figures, heat, image, pixel)
        inspect_words.figures(self.scored)

    def _feedback(self, threshold: float, place: DeltaGenerator) -> None:
        """Buttons of the photo in their place, and what was said below."""
        if not feedback.can_learn(self.scored):
            return
        acting = self.images.acting(threshold)
        saying = Saying(self.scored, self.bank, acting)
        if self.index is not None:
            with place:
                feedback.buttons(
                    saying,
                    self.record,
                    is_good=not self.scored.labels[self.index],
                    is_called=float(self.scored.scores[self.index]) >= acting,
                )
        feedback.section(saying)

    def _from_good(self) -> None:
        """The control of a threshold from good photos alone."""
        scored, detector = self.scored, None
        if self.asked.score is not None:
            detector = BankKey.of(scored.folder / DETECTOR)
        cannot = ""
        if scored.is_padim:
            cannot = "PaDiM's scores have no threshold from good photos yet: evaluate by PatchCore."
        elif scored.is_tiled and not (scored.folder / DECISION).is_file():
            cannot = (
                "Photos are cut into tiles here: ask for it where they are scored, with cutswap"
                " evaluate --tile-overlap --false-alarms."
            )
        elif len(self._learnt) != scored.summary["n_train"] and not self._has_decision:
            cannot = "The good photos have changed since this evaluation: evaluate again."
        good = GoodPhotos(
            folder=scored.folder,
            category=str(scored.summary["category"]),
            train=tuple(self._learnt),
            bank=self.bank,
            detector=detector,
            score=self.score,
            cannot=cannot,
        )
        low, high = self.images.low, self.images.beyond

        def use(threshold: float) -> None:
            set_knob(inspect_thresholds.IMAGE, min(max(threshold, low), high))

        from_good.control(good, use, scored)

    @property
    def _has_decision(self) -> bool:
        return (self.scored.folder / DECISION).is_file()

    def _places(self) -> _Places:
        """The threshold beside the picture; two pictures need the whole width, above it."""
        if self.index is None or not inspect_compare.is_ready(self.asked):
            left, right = st.columns([3, 2])
            return _Places(left, right.container(), None, right.container(), left.container())
        pictures = st.container()
        threshold, confusion, scores = st.columns([5, 8, 7])
        return _Places(pictures, threshold, confusion, scores, st.container())

    def _reviewed(self, threshold: float) -> Reviewed:
        scored = self.scored
        return Reviewed(
            category=self.asked.selected.key,
            source=inspect_caches.source_of(scored),
            names=scored.names,
            defects=scored.defects,
            labels=scored.labels,
            scores=scored.scores,
            records=scored.records,
            threshold=self.images.acting(threshold),
            values=scored.heatmaps.__getitem__,
            masks=None if self.truth is None else self.truth.masks,
            span=scored.range,
            usual=inspect_caches.usual_heat(scored),
            region=scored.region,
        )

    def heat(self) -> Heat:
        """The selected image's heatmap: as evaluated, or anew where settings allow it at once."""
        scored, wanted = self.scored, self.asked.wanted.settings
        size = scored.size
        live = None
        if scored.is_padim:
            return self._by_gaussians()
        if scored.is_tiled:
            return self._by_tiles()
        own = scored.settings
        assert isinstance(own, PatchCoreSettings)  # noqa: S101 - for the type checker
        asked = Scoring(wanted.neighbours, own.reweight, wanted.image_patches, wanted.sigma)
        evaluated = Scoring(own.neighbours, own.reweight, own.image_patches, own.sigma)
        # The join was weighed for the bank as it is: with a head other settings must be computed.
        is_preview = self.asked.saved is None and asked != evaluated and not self.is_by_head
        if self.is_by_head and self.index is None:
            live = self._by_head()
        elif self.index is None or is_preview:
            scoring = asked if is_preview else None
            live = inspect_caches.prediction(
                self.bank,
                PhotoKey.of_record(self.record, size),
                scoring,
            )
        if live is not None:
            values, score = live.heatmaps[0], float(live.scores[0])
        else:
            assert self.index is not None  # noqa: S101 - else it is scored above
            values, score = scored.heatmaps[self.index], float(scored.scores[self.index])
        return self._heat_of(values, score)

    def _by_gaussians(self) -> Heat:
        """The same of PaDiM: as evaluated, or of a training photo anew."""
        scored = self.scored
        if self.index is not None:
            return self._heat_of(scored.heatmaps[self.index], float(scored.scores[self.index]))
        photo = PhotoKey.of_record(self.record, scored.size)
        said = inspect_caches.by_gaussians(self.bank, photo)
        return self._heat_of(said.heatmaps[0], float(said.scores[0]))

    def _by_tiles(self) -> Heat:
        """The same of a photo that was cut into tiles."""
        scored = self.scored
        if self.index is not None:
            return self._heat_of(scored.heatmaps[self.index], float(scored.scores[self.index]))
        modified = caches.changed(scored.folder / RESULT)
        photo = PhotoKey.of_record(self.record, scored.size)
        score, values = inspect_caches.by_tiles(scored.folder, modified, photo)
        return self._heat_of(values, score)

    def _heat_of(self, values: np.ndarray, score: float) -> Heat:
        """A heatmap of the selected image with all that is drawn with it."""
        scored, mask = self.scored, None
        if self.index is not None and self.truth is not None and self.truth.masks is not None:
            mask = self.truth.masks[self.index]
        usual = None if self.asked.stretch else inspect_caches.usual_heat(scored)
        return Heat(
            self.record, values, score, mask, *self._span(values), usual=usual, region=scored.region
        )

    def _by_head(self) -> Prediction:
        """What head or both say about this image's patches."""
        detector = BankKey.of(self.scored.folder / DETECTOR)
        photo = PhotoKey.of_record(self.record, self.scored.size)
        return inspect_caches.predictions(detector, photo).by(self.score)

    def _span(self, values: Any) -> tuple[tuple[float, float], str]:
        if self.asked.stretch:
            return (
                (float(values.min()), float(values.max())),
                f"{MEANINGS[self.score]}, stretched to this image alone: do not compare pictures",
            )
        return (
            self.scored.range,
            f"{MEANINGS[self.score]}; one range for all {len(self.scored.names)} test images",
        )

    def _picture(
        self, heat: Heat, image: float, pixel: float | None, words: DeltaGenerator
    ) -> NearestNormal | None:
        compared = box = None
        if self.scored.is_padim:
            return self._draw(heat, None, None, image, pixel, words)
        with plain_errors("the nearest normal patch"):
            if self.scored.is_tiled:
                compared, box = inspect_nearest.compared_in_tiles(
                    self.bank, self.record, heat.values, self.train
                )
            else:
                hottest = hottest_patch(self._by_head()) if self.is_by_head else None
                compared = inspect_nearest.compared(
                    self.bank, self.record, heat.size, self.train, hottest
                )
                box = compared.test.box
        return self._draw(heat, compared, box, image, pixel, words)

    def _draw(
        self,
        heat: Heat,
        compared: NearestNormal | None,
        box: Place | None,
        image: float,
        pixel: float | None,
        words: DeltaGenerator,
    ) -> NearestNormal | None:
        verdict = self._verdict(heat.score, image)
        drawn = picture(
            heat,
            pixel_threshold=pixel,
            contour=self.asked.contour,
            cell_box=box,
            verdict=verdict.text,
            tag="" if compared is None else f"frame: {compared.distance:.3g} from normal",
        )
        called = Called(verdict, image, pixel)
        place = inspect_compare.beside(
            self.asked, self.scored, self.index, heat, drawn, called, words
        )
        if place is not None:
            inspect_nearest.remember_place(self.record, place)
            st.rerun()
        return compared

    def _verdict(self, score: float, threshold: float) -> Verdict:
        truth = None if self.index is None else bool(self.scored.labels[self.index])
        return verdict_of(truth, score, self.images.acting(threshold))

    def _headline(self, heat: Heat | None, threshold: float) -> None:
        if heat is None:
            return
        good = self.scored.scores[~self.scored.labels]
        higher = int((good < heat.score).sum())
        name, verdict = plain_text(self.record.name), self._verdict(heat.score, threshold)
        what = "" if self.index is not None else " A training photo: it was learnt from."
        st.markdown(
            f"**{verdict.text}** · {name} · score **{heat.score:.3f}**,"
            f" threshold {threshold:.3f} · higher than {higher} of {len(good)} good test"
            f" images.{what}"
        )

    def _charts_to_take_home(
        self, figures: list[Figure], heat: Heat | None, image: float, pixel: float | None
    ) -> None:
        chart = self._scores_chart(heat, image)
        command = evaluate_again(self.scored.summary)
        settings = {"threshold": image, "pixel_threshold": pixel, **settings_of(self.scored)}
        take_home(
            [*figures, of_chart("scores", "Scores", chart)],
            Origin("Thresholds", settings, [command] if command else []),
            key="inspect.curves",
        )

    def _scores_chart(self, heat: Heat | None, threshold: float) -> go.Figure:
        here, scored = None if heat is None else heat.score, self.scored
        return inspect_charts.number_line(
            scored.names, scored.scores, scored.labels, here, threshold
        )

    def _number_line(self, heat: Heat | None, threshold: float) -> None:
        scored = self.scored
        turn = st.session_state.get("inspect.turn.line", 0)
        key = f"line.{turn}"

        def choose() -> None:
            number = inspect_thresholds.first_value(st.session_state.get(key))
            if number is not None:
                select(image=scored.names[int(number)])
                st.session_state["inspect.turn.line"] = turn + 1

        here = None if heat is None else heat.score
        st.plotly_chart(
            self._scores_chart(heat, threshold),
            width="stretch",
            key=key,
            on_select=choose,
            selection_mode="points",
            config=chart_config("scores"),
            alt=f"Scores of {len(scored.names)} test images on a line; this image at"
            f" {here if here is None else round(here, 3)}, threshold {threshold:.3f}",
        )
