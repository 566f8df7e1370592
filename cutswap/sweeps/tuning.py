"""Searching K, layers, patch size and learning rate on synthetic negatives, never on the test set.

Settings chosen by test AUROC would be fitted to the very defects that it is to tell us about, and
the figure would promise what new defects do not keep. So a fifth of the good photos is held
out. A trial tunes on the rest with its own settings; its score is the AUROC by which PatchCore with
a bank of the rest, tells held-out photos from negatives of them. These are of families that the
training does not use and of default settings, the same for all trials: a trial cannot win by making
its own negatives easy. Trials that are behind at a third or two thirds of the updates are pruned.
Of a head bank and head together are scored, joined as ever by photos held out from the rest.

trials/<n>.json   one ended trial, tune.json the space, the best and each setting's importance
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cutswap.config import (
    FAMILIES,
    PLAIN,
    ClusterSettings,
    FineTuningSettings,
    NegativeSettings,
    PatchCoreSettings,
)
from cutswap.data.images import to_image
from cutswap.data.loading import CheckedCategory, load_photos
from cutswap.errors import CutSwapError
from cutswap.evaluation.metrics import auroc
from cutswap.heads.detector import HeadDetector
from cutswap.heads.patch_head import PatchHead
from cutswap.heads.validation import make_validation_set
from cutswap.negatives.draw import draw_negative
from cutswap.networks.backbone import Backbone, load_backbone
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.runs.folder import RunFolder
from cutswap.sweeps.store import ResultStore
from cutswap.training.finetuner import FineTuner
from cutswap.training.finetuning import build_samples, tuned_backbone
from cutswap.training.head_finetuning import finetune_head, trained_head

TUNE, TRIALS = "tune", "trials"
HELD_OUT = 0.2  # of the good training photos
RUNGS = 3  # times a trial is scored: at each third of its updates
WARM_UP = 4  # trials before anything is pruned
COMBINATIONS = ((0,), (2,), (4,), (0, 2), (2, 4), (0, 2, 4), (0, 1, 2, 3, 4))  # Table VII's
HEAD_RATE, HEAD_UPDATES = (0.0005, 0.01), (50, 400)  # around a head's defaults, 0.003 and 200
COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"


@dataclass(frozen=True)
class SearchSpace:
    """Where to search, ends included.

    Attributes:
        k: clusters.
        patch: largest patch area, a share of the image.
        rate: learning rate, of the head where one is trained, searched on a logarithmic scale.
        layers: sets of saliency layers, joined by `+`.
        updates: of a head; None where the backbone is trained.
    """

    k: tuple[int, int] = (1, 8)
    patch: tuple[float, float] = (0.05, 0.3)
    rate: tuple[float, float] = (0.003, 0.1)
    layers: tuple[str, ...] = ()
    updates: tuple[int, int] | None = None

    @classmethod
    def of(cls, trained: str) -> SearchSpace:
        """The default one.

        Args:
            trained: `backbone`, or a head that learns.
        """
        return cls() if trained == "backbone" else cls(rate=HEAD_RATE, updates=HEAD_UPDATES)

    def to_dict(self) -> dict[str, list[Any]]:
        """JSON-ready values of what is searched."""
        return {name: list(ends) for name, ends in vars(self).items() if ends is not None}

    def distributions(self) -> dict[str, Any]:
        """As Optuna wants them."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        return {
            "k": IntDistribution(*self.k),
            "layers": CategoricalDistribution(self.layers),
            "patch": FloatDistribution(*self.patch),
            "learning_rate": FloatDistribution(*self.rate, log=True),
            **({} if self.updates is None else {"updates": IntDistribution(*self.updates)}),
        }

    def applied(self, values: Mapping[str, Any], base: FineTuningSettings) -> FineTuningSettings:
        """A trial's settings over the common ones.

        Raises:
            CutSwapError: out of range.
        """
        rate, levels = values["learning_rate"], tuple(str(values["layers"]).split("+"))
        training, head = base.training.replace(levels=levels), base.head
        if self.updates is None:
            training = training.replace(learning_rate=rate)
        else:
            head = head.replace(learning_rate=rate, updates=values["updates"])
        return base.replace(
            clusters=base.clusters.replace(k=values["k"]),
            negatives=base.negatives.replace(area=(base.negatives.area[0], values["patch"])),
            training=training,
            head=head,
        )


class Validation:
    """The held-out photos, their negatives, and the score of a network.

    Args:
        checked: the category; its test photos are not looked at.
        settings: common ones: image size and family of negatives.
        seed: of the split and of the negatives.

    Raises:
        CutSwapError: fewer than five good training photos.
    """

    def __init__(self, checked: CheckedCategory, settings: FineTuningSettings, seed: int) -> None:
        records = checked.category.train
        self._region = checked.region_at(settings.training.image_size)
        if len(records) < 5:
            raise CutSwapError(
                checked.category.name,
                expected="5 good training photos or more, to hold some out",
                found=len(records),
                fix="add photos",
            )
        order = np.random.default_rng((seed, 17)).permutation(len(records))
        count = max(2, round(HELD_OUT * len(records)))
        held, kept = sorted(order[:count]), sorted(order[count:])
        size = settings.training.image_size
        category = replace(checked.category, train=tuple(records[i] for i in kept), test=())
        self.training = CheckedCategory(category, checked.left_out)
        self._size = size
        self._train = load_photos(category.train, size)
        self._good = load_photos([records[i] for i in held], size)
        used = settings.training.augment
        # A texture covers the whole photo, and would lie outside a region.
        left_out = (used, "cutswap", *(() if self._region is None else ("perlin",)))
        self.families = tuple(f for f in FAMILIES if f not in left_out)
        self._bad = {
            family: np.stack(
                [
                    draw_negative(
                        photo,
                        None,
                        NegativeSettings(method=family),
                        ClusterSettings(),
                        seed=(seed, 23, number),
                        inside=self._region,
                    ).photo
                    for number, photo in enumerate(self._good)
                ]
            )
            for family in self.families
        }

    def score(self, backbone: Backbone, head: PatchHead | None = None) -> float:
        """Mean over the families of the image AUROC, in [0, 1].

        Args:
            backbone: whose bank is asked.
            head: joined with it; trained on `training`.
        """
        settings = PatchCoreSettings(image_size=self._size, coreset=0.01, **PLAIN)
        if head is not None:
            settings = settings.replace(layers=head.settings.layers)
        photos = (self._train[i : i + 16] for i in range(0, len(self._train), 16))
        bank = MemoryBank.fit(
            backbone, map(to_image, photos), settings, count=len(self._train), region=self._region
        )
        detector = None
        if head is not None:
            held_out = self._train[list(head.origin.held_out)]
            inner = make_validation_set(held_out, head.origin.family)
            detector, _ = HeadDetector.fit(bank, head, inner)

        def ask(photos: np.ndarray) -> np.ndarray:
            image = to_image(photos)
            return (detector.score(image).both if detector else bank.score(image)).scores

        good = ask(self._good)
        aurocs = []
        for bad in self._bad.values():
            scores = np.concatenate([good, ask(bad)])
            labels = np.arange(len(scores)) >= len(good)
            aurocs.append(auroc(scores, labels) or 0.0)
        return float(np.mean(aurocs))


def run_tuning(
    store: ResultStore,
    checked: CheckedCategory,
    base: FineTuningSettings,
    space: SearchSpace,
    *,
    trials: int,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[dict[str, Any]]:
    """Try settings until the store holds so many ended trials.

    Args:
        store: of the trials; those it holds are learnt from, not repeated.
        checked: the category.
        base: common settings.
        space: where to search.
        trials: how many in all.
        seed: of the search, the split and every draw.
        stop: asked after every update; the trial at work is then lost.

    Yields:
        Each ended trial's record.

    Raises:
        CutSwapError: the store holds a search of other settings.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    validation = Validation(checked, base, seed)
    about = {
        "kind": "tune",
        "category": checked.category.name,
        "root": str(checked.category.root),
        "seed": seed,
        "space": space.to_dict(),
        "base": base.to_dict(),
        "validation": list(validation.families),
    }
    old = store.read(TUNE)
    if isinstance(old, dict) and {n: old.get(n) for n in about} != about:
        raise CutSwapError(
            store.url,
            expected="a new store, or a search of the same settings to go on with",
            found="a search of other settings",
            fix="choose another --out",
        )
    records = [r for n in store.names(TRIALS) if (r := store.read(f"{TRIALS}/{n}"))]
    study = optuna.create_study(
        direction="maximize",
        # Another stream after each restart: the same one would propose the same again.
        sampler=optuna.samplers.TPESampler(seed=seed + 1000 * len(records)),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=WARM_UP),
    )
    for record in records:
        study.add_trial(_frozen(optuna, record, space))
    store.write(TUNE, {**about, **_summary(optuna, study, records)})
    while len(records) < trials and not stop():
        trial = study.ask(space.distributions())
        record = _try(trial, validation, space.applied(trial.params, base), seed, stop)
        if record is None:
            return
        state = {COMPLETE: optuna.trial.TrialState.COMPLETE, PRUNED: optuna.trial.TrialState.PRUNED}
        study.tell(
            trial,
            record["value"] if record["state"] == COMPLETE else None,
            state=state.get(record["state"], optuna.trial.TrialState.FAIL),
        )
        record = {"number": len(records), "values": dict(trial.params), **record}
        store.write(f"{TRIALS}/{len(records):05d}", record)
        records.append(record)
        store.write(TUNE, {**about, **_summary(optuna, study, records)})
        yield record


def _try(
    trial: Any,
    validation: Validation,
    settings: FineTuningSettings,
    seed: int,
    stop: Callable[[], bool],
) -> dict[str, Any] | None:
    """One trial: its state, value and the scores on the way; None when it was stopped."""
    steps: dict[str, float] = {}
    try:
        if settings.head.train != "backbone":
            found = _head_value(validation, settings, seed, stop)
            return None if found is None else {"state": COMPLETE, "value": found, "steps": steps}
        samples, _ = build_samples(validation.training, settings, seed)
        training = settings.training
        phi = load_backbone(training.backbone, training.weights, seed=seed)
        tuner = FineTuner(phi, samples, training, seed)
        rungs = {max(1, round(tuner.steps * r / RUNGS)): r for r in range(1, RUNGS + 1)}
        for step in tuner.run(stop):
            if stop():
                return None
            if step.step in rungs:
                value = validation.score(Backbone.from_state(phi.name, tuner.tuned()))
                steps[str(rungs[step.step])] = value
                trial.report(value, rungs[step.step])
                if step.step < tuner.steps and trial.should_prune():
                    return {"state": PRUNED, "value": value, "steps": steps}
    except CutSwapError as error:
        return {"state": FAILED, "value": None, "steps": steps, "error": str(error)}
    return {"state": COMPLETE, "value": value, "steps": steps}


def _head_value(
    validation: Validation, settings: FineTuningSettings, seed: int, stop: Callable[[], bool]
) -> float | None:
    """The score of a head and its bank; None when it was stopped."""
    with tempfile.TemporaryDirectory(prefix="cutswap-trial-") as folder:
        run = RunFolder(Path(folder) / "run")
        for _ in finetune_head(validation.training, settings, run.path, seed=seed, stop=stop):
            pass
        if not run.result_file.exists():
            return None
        return validation.score(tuned_backbone(run), trained_head(run))


def _frozen(optuna: Any, record: dict[str, Any], space: SearchSpace) -> Any:
    """A stored trial as Optuna knows it."""
    states = optuna.trial.TrialState
    state = {COMPLETE: states.COMPLETE, PRUNED: states.PRUNED}.get(record["state"], states.FAIL)
    return optuna.trial.create_trial(
        state=state,
        value=record["value"] if state == states.COMPLETE else None,
        params=record["values"],
        distributions=space.distributions(),
        intermediate_values={int(n): v for n, v in record["steps"].items()},
    )


def _summary(optuna: Any, study: Any, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Best trial, importance of each setting, and all trials, for who looks without Optuna."""
    complete = [r for r in records if r["state"] == COMPLETE]
    importance: dict[str, float] = {}
    if len({r["value"] for r in complete}) > 1 and len(complete) >= WARM_UP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            importances = optuna.importance.get_param_importances(study, evaluator=evaluator)
        importance = {name: float(value) for name, value in importances.items()}
    best = max(complete, key=lambda r: r["value"], default=None)
    return {"best": best, "importance": importance, "trials": records}
