"""Results tables: seeds averaged, settings kept apart, nothing made up, the paper's marked."""

from __future__ import annotations

import csv
import io
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutswap.config import PatchCoreSettings
from cutswap.results.export import protocol_differences, signed, to_csv, to_markdown
from cutswap.results.setups import run_in_words, setup_of
from cutswap.results.table import METRICS, PaperColumn, ResultsTable, build_table, is_demo
from cutswap.runs.find import find_runs
from cutswap.runs.references import run_of
from cutswap.runs.states import BROKEN, FoundEvaluation
from tests.helpers.runs import write_evaluation, write_run


def evaluation(
    name: str = "e",
    category: str = "bolt",
    seed: int = 0,
    image: float | None = 0.9,
    pixel: float | None = 0.8,
    root: str | None = None,
    weights: str = "embedded",
    changed: float = 1.0,
    fingerprint: str = "f",
    **scoring: Any,
) -> FoundEvaluation:
    summary = {
        "image_auroc": image,
        "pixel_auroc": pixel,
        "aupro": None,
        "category": category,
        "seed": seed,
        "data": {"root": root or f"/data/{category}"},
        "n_train": 3,
        "n_test": 5,
        "patchcore": PatchCoreSettings(**scoring).to_dict(),
        "backbone": "resnet18",
        "weights": {"source": weights, "sha256": "abc"},
        "fingerprint": fingerprint,
    }
    return FoundEvaluation(Path("/runs") / name, name, "done", "", summary, changed)


def table_of(*evaluations: FoundEvaluation, metric: str = "image_auroc") -> ResultsTable:
    return build_table(evaluations, (), metric)


def test_no_evaluations_make_an_empty_table():
    table = table_of()
    assert (table.rows, table.columns, table.figures) == ((), (), {})
    assert to_csv([table]).count("\n") == 1
    assert "mean" in to_markdown(table)


def test_seeds_are_averaged_by_hand():
    table = table_of(*(evaluation(f"e{s}", seed=s, image=v) for s, v in enumerate((0.7, 0.8, 0.9))))
    ((place, figure),) = table.figures.items()
    assert figure.mean == pytest.approx(0.8)
    assert figure.std == pytest.approx(0.1)  # sample: sqrt((0.01 + 0 + 0.01) / 2)
    assert figure.seeds == (0, 1, 2)
    assert table.text(*place) == "0.800 ± 0.100 (n=3)"


def test_one_seed_has_no_spread():
    table = table_of(evaluation())
    (figure,) = table.figures.values()
    assert figure.std is None
    assert figure.text() == "0.900"


def test_a_copy_is_no_further_seed_and_the_newest_counts():
    old = evaluation("old", image=0.1, changed=1)
    new = evaluation("new", image=0.9, changed=2)
    for order in ((old, new), (new, old)):
        (figure,) = table_of(*order).figures.values()
        assert figure.values == (0.9,)
        assert figure.names == ("new",)
    # the newest stands last, for whoever opens it
    (figure,) = table_of(old, evaluation("other", seed=1, changed=1.5), new).figures.values()
    assert figure.names == ("other", "new")
    # another network with the same seed is a further measurement
    (figure,) = table_of(
        old, replace(new, summary={**new.summary, "fingerprint": "g"})
    ).figures.values()
    assert len(figure.values) == 2


def test_settings_that_matter_are_columns_of_their_own():
    table = table_of(
        evaluation("a"),
        evaluation("b", coreset=0.001),
        evaluation("c", layers=("layer2",)),
        evaluation("d", weights="random"),
        evaluation("e", neighbours=3),
        evaluation("f", image_size=128),
        evaluation("g", batch_size=2),  # how fast, not what: the same column as a
    )
    assert len(table.setups) == 6
    labels = [s.label for s in table.setups]
    assert len(set(labels)) == 6
    assert "resnet18, embedded weights, coreset 0.001, layer2+layer3" in labels
    assert any("neighbours 3" in label for label in labels)
    assert any("image_size 128" in label for label in labels)


def test_columns_that_read_alike_are_numbered():
    table = table_of(evaluation("a", weights="/x/w.pth"), evaluation("b", weights="/y/w.pth"))
    labels = sorted(s.label for s in table.setups)
    assert labels[0] + " (#2)" == labels[1]


def test_one_name_in_two_data_sets_is_two_rows():
    table = table_of(evaluation("a", root="/x/bolt"), evaluation("b", root="/y/bolt"))
    assert [r.root for r in table.rows] == ["/x/bolt", "/y/bolt"]
    assert len({r.label for r in table.rows}) == 2


def test_broken_evaluations_are_left_out():
    assert table_of(replace(evaluation(), state=BROKEN)).rows == ()


def test_missing_cells_say_why():
    table = table_of(
        evaluation("a", category="bolt", pixel=None),
        evaluation("b", category="nut", coreset=0.1),
        metric="pixel_auroc",
    )
    by_name = {r.category: r for r in table.rows}
    small, large = table.setups
    assert table.text(by_name["bolt"], small) == "no masks"
    assert table.text(by_name["nut"], small) == "not run"
    assert table.value(by_name["bolt"], small) is None
    assert table.mean(small) is None
    assert table.mean_text(small) == "–"
    assert table.mean(large) == (0.8, 1)
    assert table.mean_text(large) == "0.800 (1 of 2)"


def test_mean_differences_go_over_common_rows_only():
    table = table_of(
        evaluation("a", category="bolt", image=0.5),
        evaluation("b", category="nut", image=0.9),
        evaluation("c", category="bolt", image=0.6, coreset=0.1),
    )
    base, other = table.setups
    bolt = table.rows[0]
    assert table.difference(bolt, other, base) == pytest.approx(0.1)
    # the plain means, 0.7 and 0.6, would say the opposite
    assert table.mean_difference(other, base) == (pytest.approx(0.1), 1)
    assert table.mean_difference(base, base) == (0.0, 2)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.randoms())
def test_the_order_of_folders_does_not_matter(values: list[float], random: Any):
    found = [
        evaluation(f"e{i}", category=f"c{i % 2}", seed=i, image=v) for i, v in enumerate(values)
    ]
    mixed = list(found)
    random.shuffle(mixed)
    one, two = table_of(*found), table_of(*mixed)
    assert one.rows == two.rows
    for row in one.rows:
        assert one.value(row, one.setups[0]) == pytest.approx(two.value(row, two.setups[0]))
    first = [v for i, v in enumerate(values) if i % 2 == 0]
    assert one.value(one.rows[0], one.setups[0]) == pytest.approx(statistics.fmean(first))


# The paper


def test_the_papers_numbers_stand_beside_and_are_called_so():
    table = table_of(evaluation(category="metal_nut", image=0.9, coreset=0.001))
    assert [c.label for c in table.paper] == [
        "paper Table I: ResNet18 + PC, coreset 0.001",
        "paper Table I: CutPaste + PC, coreset 0.001",
        "paper Table I: CutSwap + PC, coreset 0.001",
    ]
    (row,), cutswap = table.rows, table.paper[-1]
    assert table.value(row, cutswap) == 0.972
    assert table.difference(row, table.setups[0], cutswap) == pytest.approx(-0.072)


def test_two_data_sets_share_a_paper_column_that_names_both_tables():
    table = table_of(
        evaluation("a", category="candle"),
        evaluation("b", category="screw"),
        evaluation("c", category="bolt"),
    )
    assert [c.tables for c in table.paper] == [("II", "IV")] * 3
    bolt = table.rows[0]
    assert table.text(bolt, table.paper[0]) == "–"


@pytest.mark.parametrize(
    ("changes", "metric"),
    [
        ({"category": "bolt"}, "image_auroc"),  # no such category in the paper
        ({"category": "screw"}, "aupro"),  # no such metric
        ({"category": "screw", "coreset": 0.1}, "image_auroc"),  # no such coreset
        # the demo's leather is rendered: the paper's says nothing about it
        ({"category": "leather", "root": "/c/demo-v1/leather"}, "image_auroc"),
    ],
)
def test_no_paper_column_without_a_number_of_the_paper(changes: dict[str, Any], metric: str):
    assert table_of(evaluation(**changes), metric=metric).paper == ()


def test_demo_folders():
    assert is_demo("/home/x/.cache/cutswap/demo-v1/leather")
    assert is_demo("C:\\cache\\demo-v12\\leather\\")
    assert not is_demo("/data/leather")
    assert not is_demo("leather")
    assert not is_demo("")
    table = table_of(evaluation(root="/c/demo-v1/bolt"))
    assert table.rows[0].label == "bolt (demo)"


def test_protocol_differences_name_what_was_not_the_same():
    table = table_of(evaluation(category="transistor"))
    text = "\n".join(protocol_differences(table))
    assert "3 training and 5 test images here, the published set has 213 and 100" in text
    assert "256 pixels" in text
    assert "embedded weights; the paper's ResNet18 is ImageNet's" in text
    assert "seeds" in text
    whole = evaluation(category="transistor", weights="imagenet")
    whole = replace(whole, summary={**whole.summary, "n_train": 213, "n_test": 100})
    text = "\n".join(protocol_differences(table_of(whole)))
    assert "published set" not in text
    assert "ImageNet's" not in text


# Tuned networks


def tuned(folder: Path, run: str, name: str, **changes: Any) -> None:
    source = {"source": f"fine-tuned run {run}", "sha256": None}
    write_evaluation(folder / name, weights=source, fingerprint=name, **changes)


def test_equal_settings_are_one_column_over_categories(tmp_path: Path):
    for category in ("bolt", "nut"):
        run = write_run(tmp_path / category, name=category)
        tuned(tmp_path, str(run), f"{category}-scored", category=category)
    found = find_runs(tmp_path)
    table = build_table(found.evaluations, found.runs, "image_auroc")
    (setup,) = table.setups
    assert setup.label == "resnet18, fine-tuned gentle, coreset 0.01, layer2+layer3"
    assert setup.is_tuned
    assert len(table.rows) == 2


def test_a_run_loaded_as_weights_is_the_same_column(tmp_path: Path):
    run = write_run(tmp_path / "bolt")
    tuned(tmp_path, str(run), "by-run")
    source = {"source": str(run / "backbone.safetensors"), "sha256": "x"}
    write_evaluation(tmp_path / "by-file", weights=source, fingerprint="by-run", seed=1)
    found = find_runs(tmp_path)
    table = build_table(found.evaluations, found.runs, "image_auroc")
    (setup,) = table.setups
    assert setup.is_tuned
    (figure,) = table.figures.values()
    assert set(figure.seeds) == {0, 1}
    assert all(run_of(e, found.runs) == found.runs[0] for e in found.evaluations)


def test_other_settings_of_a_run_are_another_column(tmp_path: Path):
    import json

    for name, k, machine in (("four", 4, "cpu"), ("two", 2, "cpu"), ("again", 2, "cuda:1")):
        path = write_run(tmp_path / name) / "settings.json"
        settings = json.loads(path.read_text())
        settings["clusters"]["k"] = k
        settings["training"]["device"] = machine  # of the machine: no other column
        path.write_text(json.dumps(settings))
        tuned(tmp_path, str(tmp_path / name), f"{name}-scored")
    found = find_runs(tmp_path)
    table = build_table(found.evaluations, found.runs, "image_auroc")
    assert [s.network for s in table.setups] == [
        "resnet18, fine-tuned gentle",
        "resnet18, fine-tuned gentle, k 2",
    ]


def test_a_run_that_is_gone_is_named_by_its_path(tmp_path: Path):
    tuned(tmp_path, "/old/run", "scored")
    found = find_runs(tmp_path)
    (one,) = found.evaluations
    assert run_of(one, found.runs) is None
    assert "fine-tuned run /old/run" in setup_of(one, found.runs).label


def test_a_relative_path_finds_the_run_of_the_longest_name(tmp_path: Path):
    write_run(tmp_path / "run")
    write_run(tmp_path / "demo" / "run")
    tuned(tmp_path, "runs/demo/run", "a")
    tuned(tmp_path, "runs/other/run", "b")
    tuned(tmp_path, "elsewhere", "c")
    found = find_runs(tmp_path)
    names = {e.name: run_of(e, found.runs) for e in found.evaluations}
    assert {n: r.name if r else None for n, r in names.items()} == {
        "a": "demo/run",
        "b": "run",
        "c": None,
    }


def test_a_run_in_words_names_what_is_not_the_recipe(tmp_path: Path):
    import json

    path = write_run(tmp_path / "a")
    (run,) = find_runs(tmp_path).runs
    assert run_in_words(run) == "fine-tuned gentle"
    settings = json.loads((path / "settings.json").read_text())
    settings["training"] |= {
        "recipe": "paper",
        "pretrained_factor": 1.0,
        "freeze_batch_norm": False,
        "frozen": [],
        "epochs": 256,
    }
    settings["negatives"]["area"] = [0.02, 0.05]
    settings["saliency"] = None  # edited by hand: no reason to fail
    (path / "settings.json").write_text(json.dumps(settings))
    (run,) = find_runs(tmp_path).runs
    assert run_in_words(run) == "fine-tuned paper, epochs 256, area 0.02,0.05"


# Exports


def test_csv_holds_every_cell_and_marks_the_papers():
    found = [
        evaluation("a", category="screw", seed=0, image=0.9),
        evaluation("b", category="screw", seed=1, image=0.8),
    ]
    tables = [build_table(found, (), metric) for metric in METRICS]
    lines = list(csv.DictReader(io.StringIO(to_csv(tables))))
    ours = [line for line in lines if line["source"] == "this project"]
    assert [(o["metric"], o["mean"], o["n"], o["seeds"]) for o in ours] == [
        ("image_auroc", "0.850000", "2", "0 1"),
        ("pixel_auroc", "0.800000", "2", "0 1"),
    ]
    assert float(ours[0]["std"]) == pytest.approx(statistics.stdev([0.9, 0.8]), abs=1e-6)
    papers = [line for line in lines if line["source"] != "this project"]
    assert len(papers) == 6
    assert {line["source"] for line in papers} == {"paper Table II"}
    assert {line["std"] for line in papers} == {""}


def test_a_spreadsheet_gets_no_formula():
    table = table_of(evaluation(category="=1+1", root="/d/x"))
    (line,) = csv.DictReader(io.StringIO(to_csv([table])))
    assert line["category"] == "'=1+1"


def test_markdown_has_as_many_cells_a_line():
    table = table_of(
        evaluation("a", category="screw"), evaluation("b", category="a|b", coreset=0.1)
    )
    text = to_markdown(table, table.setups[0])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert "a\\|b" in text
    assert "Columns named paper are printed numbers of Qin, Gu, Yu, Zhang" in text
    assert "In brackets: difference to resnet18, embedded weights" in text


def test_markdown_of_our_data_alone_does_not_speak_of_the_paper():
    assert "paper" not in to_markdown(table_of(evaluation())).replace("paper's ResNet18", "")


def test_differences_are_signed_in_text():
    table = table_of(evaluation("a", image=0.5), evaluation("b", image=0.25, coreset=0.1))
    text = to_markdown(table, table.setups[0])
    assert "| bolt | 0.500 | 0.250 (-0.250) |" in text
    assert [signed(v) for v in (0.0123, -0.0123, 0.0, -0.0001, 0.0004)] == [
        "+0.012",
        "-0.012",
        "±0.000",
        "±0.000",
        "±0.000",
    ]


def test_paper_columns_are_never_ours():
    table = table_of(evaluation(category="screw"))
    assert not set(table.setups) & set(table.paper)
    assert all(isinstance(c, PaperColumn) for c in table.columns[len(table.setups) :])
