"""The benchmark: its arithmetic by hand, its equality checks, and one small run end to end."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cutswap.benchmark import attention, measurement, pictures, sizes, waiting
from cutswap.benchmark.attention import need_equal_maps
from cutswap.benchmark.device import run_device_benchmark
from cutswap.benchmark.growing import exponent
from cutswap.benchmark.measurement import (
    Measurement,
    extra_memory,
    in_turns,
    skipped,
    times_faster,
    times_the_cost,
    within,
)
from cutswap.benchmark.own_process import OwnProcess
from cutswap.benchmark.picking import need_equal_picks, plain_picks, projected
from cutswap.benchmark.scoring import need_equal_scores, plain_scores
from cutswap.benchmark.sizes import TINY
from cutswap.benchmark.suite import PARTS, run_benchmark
from cutswap.benchmark.table import markdown, table
from cutswap.commands.parser import main
from cutswap.config import PLAIN, PatchCoreSettings
from cutswap.errors import CutSwapError
from cutswap.patchcore import index as bank_index
from cutswap.patchcore.coreset import greedy_k_center
from cutswap.patchcore.index import BankIndex
from cutswap.patchcore.memory_bank import MemoryBank
from cutswap.saliency.layercam import explain
from tests.helpers.datasets import build_category
from tests.helpers.tiny_networks import slim_backbone


@pytest.fixture
def small_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_category(tmp_path / "demo" / "bolt", train=8)
    monkeypatch.setattr(pictures, "demo_root", lambda: tmp_path / "demo")


class TestArithmetic:
    def test_times_faster_by_hand(self):
        found = times_faster("a", "b", (1.0, 2.0, 4.0), (10.0, 10.0, 10.0), 5.0)
        assert (found.ours, found.baseline, found.ratio) == (2.0, 10.0, 5.0)
        assert (found.figure, found.spread, found.repetitions) == (5.0, (2.5, 10.0), 3)
        assert found.met is True
        assert times_faster("a", "b", (2.0,), (10.0,), 5.1).met is False

    def test_a_slow_turn_slows_both_and_moves_no_ratio(self):
        found = times_faster("a", "b", (1.0, 7.0, 1.0), (3.0, 21.0, 3.0), None)
        assert found.spread == (3.0, 3.0)
        assert found.met is None

    def test_times_the_cost_by_hand(self):
        found = times_the_cost("a", "b", (1.2, 1.2), (1.0, 1.5), 1.3)
        assert found.figure == pytest.approx(1.0)  # of 1.2 and 0.8
        assert found.met is True
        assert times_the_cost("a", "b", (1.4,), (1.0,), 1.3).met is False

    def test_within(self):
        assert within("a", "b", [0.3, 0.1, 0.2], 0.2).met is True
        assert within("a", "b", [0.3, 0.1, 0.2], 0.19).met is False

    def test_skipped_has_no_verdict(self):
        values = skipped("a", "b", "no such thing here").to_dict()
        assert (values["met"], values["ratio"], values["skipped"]) == (
            None,
            None,
            "no such thing here",
        )

    @pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
    def test_exponent(self, power):
        counts = (50, 200, 800, 3200)
        assert exponent(counts, [3 * n**power for n in counts]) == pytest.approx(power)


class TestTurns:
    def test_who_begins_alternates_after_a_warm_up(self):
        ran: list[str] = []
        times = in_turns(lambda: ran.append("o"), lambda: ran.append("b"), 3)
        assert "".join(ran) == "bo" + "bo" + "ob" + "bo"
        assert [len(t) for t in times] == [3, 3]

    def test_each_side_gets_its_own_times_by_the_clock_named(self, monkeypatch):
        now = {"wall": 0.0, "processor": 0.0}
        for name in now:
            monkeypatch.setitem(measurement.CLOCKS, name, lambda name=name: now[name])

        def work(wall: float, processor: float) -> None:
            now["wall"] += wall
            now["processor"] += processor

        ours, plain = (lambda: work(2, 1)), (lambda: work(9, 4))
        assert in_turns(ours, plain, 2) == ((2, 2), (9, 9))
        assert in_turns(ours, plain, 2, clock="processor") == ((1, 1), (4, 4))


class TestTable:
    LINES = (
        Measurement("one", "what one is", 0.5, 1.5, 3.0, "times faster", 2.0, True, 3, (2.9, 3.2)),
        Measurement("two", "what two is", figure=0.7, unit="times the memory", target=0.5),
        skipped("three", "what three is", "no browser"),
    )

    def test_for_the_screen(self):
        assert table(self.LINES).splitlines() == [
            "step  ours    plain  figure                single turns  target  met",
            "----  ------  -----  --------------------  ------------  ------  ---",
            "one   500 ms  1.5 s  3 times faster        2.9 to 3.2    >= 2    yes",
            "two   -       -      0.7 times the memory  -             <= 0.5  NO",
            "skipped three: no browser",
        ]

    def test_for_a_page(self):
        lines = markdown(self.LINES).splitlines()
        assert lines[1] == "| --- | --- | --- | --- | --- | --- | --- |"
        assert lines[2] == (
            "| what one is | 500 ms | 1.5 s | 3 times faster | 2.9 to 3.2 | >= 2 | yes |"
        )
        assert lines[-1] == "skipped three: no browser"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_extra_memory_sees_what_a_step_holds():
    def hold() -> None:
        block = np.ones(64_000_000, dtype=np.uint8)
        time.sleep(0.1)
        del block

    assert 50e6 < (extra_memory(hold) or 0) < 120e6
    assert (extra_memory(lambda: time.sleep(0.05)) or 0) < 20e6


def counting(start: int) -> Iterator[tuple[int, int]]:
    """Numbers, with the process that counts; from 3 on it is gone."""
    for number in itertools.count(start):
        if number == 3:
            os._exit(7)
        yield number, os.getpid()


class TestOwnProcess:
    @pytest.mark.journey
    def test_steps_are_made_elsewhere_and_go_on_where_they_were(self):
        with OwnProcess(counting, 0, clock="wall") as side:
            took, found = side.run(2)
            assert took > 0
            assert [number for number, _ in found] == [0, 1]
            (_, later) = side.run(1)
            assert later[0][0] == 2
            assert {pid for _, pid in [*found, *later]}.isdisjoint({os.getpid()})

    @pytest.mark.journey
    def test_one_that_ends_is_told(self):
        with (
            OwnProcess(counting, 2, clock="wall") as side,
            pytest.raises(CutSwapError, match="ended with 7"),
        ):
            side.run(2)


class TestCoreset:
    def test_the_plain_loop_by_hand(self):
        line = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
        assert plain_picks(line, 4, 1, None).tolist() == [1, 3, 0, 2]

    def test_both_measure_in_the_same_projected_space(self):
        points = torch.randn(300, 24, generator=torch.Generator().manual_seed(0))
        ours = greedy_k_center(points, 30, projection=8, seed=0)
        assert projected(points, 8).shape == (300, 8)
        plain = plain_picks(points, 30, int(ours[0]), 8)
        need_equal_picks(points, ours, plain, 8)
        assert (ours == plain).all()

    def test_another_pick_is_refused(self):
        points = torch.randn(300, 24, generator=torch.Generator().manual_seed(0))
        ours = greedy_k_center(points, 30, projection=None, seed=0)
        wrong = ours.clone()
        wrong[20] = next(i for i in range(300) if i not in ours)
        with pytest.raises(CutSwapError, match="coreset pick 20"):
            need_equal_picks(points, wrong, ours, None)

    def test_two_that_are_equally_far_may_be_swapped(self):
        corners = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
        need_equal_picks(corners, torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1, 3, 2]), None)


def test_maps_of_another_kind_are_refused():
    backbone = slim_backbone()
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = explain(backbone, image)
    library = attention.library_maps(backbone, image)
    assert need_equal_maps(maps, library, (64, 64)) < 1e-4
    library[3] = library[3][:, ::-1]
    with pytest.raises(CutSwapError, match="LayerCAM maps"):
        need_equal_maps(maps, library, (64, 64))


@pytest.mark.usefixtures("small_demo")
def test_without_native_bfloat16_that_line_says_so(monkeypatch):
    monkeypatch.setattr(attention, "fast_bfloat16", lambda _device: False)
    last = attention.measure_layercam(TINY)[-1]
    assert last.skipped == "this processor has no native bfloat16"


def resnet_bank(search: str = "exact") -> tuple[MemoryBank, torch.Tensor]:
    from cutswap.networks.backbone import load_backbone

    backbone = load_backbone("resnet18")
    image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    items = torch.randn(40, 384, generator=torch.Generator().manual_seed(2)).abs().numpy()
    origin = np.zeros((40, 3), dtype=np.int32)
    return MemoryBank(backbone, PatchCoreSettings(search=search, **PLAIN), items, origin, 0), image


def test_scores_that_differ_are_refused():
    bank, image = resnet_bank()
    scores, maps = plain_scores(bank.backbone, torch.from_numpy(bank.items), image)
    found = bank.score(image)
    assert need_equal_scores(found, scores, maps) < 1e-4
    with pytest.raises(CutSwapError, match="PatchCore scores"):
        need_equal_scores(found, scores * 1.01, maps)
    with pytest.raises(CutSwapError, match="PatchCore scores"):
        need_equal_scores(found, scores, maps.flip(1))


class TestSearch:
    @pytest.mark.parametrize("kind", ["exact", "ivf", "hnsw"])
    def test_finds_the_nearest(self, kind):
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(20, 16))
        items = centres[rng.integers(20, size=2000)] + 0.1 * rng.normal(size=(2000, 16))
        items = np.ascontiguousarray(items, dtype=np.float32)
        queries = items[:200] + np.float32(0.01)
        found = BankIndex(items, kind).search(queries, 1)[:, 0]
        assert (found == np.arange(200)).mean() >= (1.0 if kind == "exact" else 0.95)

    def test_ivf_looks_into_a_part_and_asks_the_whole_bank_where_that_holds_too_few(
        self, monkeypatch
    ):
        rng = np.random.default_rng(0)
        items = rng.normal(size=(2000, 8)).astype(np.float32)
        monkeypatch.setattr(bank_index, "PROBED", 1e-9)
        index = BankIndex(items, "ivf")
        assert index._index.nprobe == 1
        exact = BankIndex(items).search(items[:50], 1900)
        assert np.array_equal(index.search(items[:50], 1900), exact)
        assert not np.array_equal(index.search(items[:50] + 0.4, 9), exact[:, :9])

    def test_a_small_bank_is_searched_whole(self):
        items = np.eye(8, dtype=np.float32)
        assert BankIndex(items, "ivf").search(items, 1)[:, 0].tolist() == list(range(8))

    @pytest.mark.parametrize("kind", ["ivf", "hnsw"])
    def test_scores_are_never_too_small(self, kind):
        (exact, image), (rough, _) = resnet_bank(), resnet_bank(kind)
        assert (rough.score(image).distances >= exact.score(image).distances - 1e-6).all()

    def test_exact_is_the_default(self):
        assert PatchCoreSettings().search == "exact"


class TestPages:
    FOUND = {
        "first_page_s": 3.0,
        "switches_s": {"data": 0.02, "inspect": 1.2},
        "changes": [
            {"page": "saliency", "change": "K", "changes": 9, "median_s": 0.05, "p95_s": 0.09,
             "range_s": [0.04, 0.1]},
            {"page": "negatives", "change": "seed", "changes": 9, "median_s": 0.15, "p95_s": 0.19,
             "range_s": [0.1, 0.2]},
        ],
    }  # fmt: skip

    def test_lines_from_the_script(self):
        lines = {m.name: m for m in waiting.page_measurements(self.FOUND)}
        assert [lines[n].met for n in ("first page", "page switch")] == [True, False]
        assert lines["page switch"].figure == 1.2
        assert lines["page, saliency K"].met is True
        assert lines["page, negatives seed"].met is False
        assert lines["page, slowest 95%"].figure == 0.19

    def test_without_a_checkout_it_says_so(self, monkeypatch, tmp_path):
        monkeypatch.setattr(waiting, "PAGES", tmp_path / "bench_pages.py")
        (line,) = waiting.measure_pages(TINY)
        assert "needs the repository" in str(line.skipped)

    def test_a_script_that_fails_is_told_with_its_last_words(self, monkeypatch, tmp_path):
        script = tmp_path / "bench_pages.py"
        script.write_text("raise SystemExit('no demo')")
        monkeypatch.setattr(waiting, "PAGES", script)
        (line,) = waiting.measure_pages(TINY)
        assert line.skipped == "bench_pages.py ended with 1: no demo"


def test_an_unknown_part_is_refused_with_those_there_are():
    with pytest.raises(CutSwapError, match="coreset, layercam"):
        run_benchmark(TINY, ["corset"])


@pytest.mark.usefixtures("small_demo")
@pytest.mark.parametrize(
    "parts",
    [
        {"coreset", "layercam", "patchcore", "growth", "search"},
        # Each side of these is a process of its own, which imports torch.
        pytest.param({"finetuning", "feeding", "waiting"}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.journey
def test_the_command_end_to_end(monkeypatch, tmp_path, capsys, parts):
    monkeypatch.setattr(sizes, "QUICK", TINY)
    threads = torch.get_num_threads()
    out = tmp_path / "benchmark.json"
    assert parts < set(PARTS)
    parts = ",".join(part for part in PARTS if part in parts)
    command = ["benchmark", "--quick", "--quiet", "--parts", parts, "--threads", "1"]
    assert main([*command, "--json", str(out)]) == 0
    assert torch.get_num_threads() == threads
    result = json.loads(out.read_text())
    assert result["machine"]["threads"] == 1
    assert result["machine"]["processor"]
    names = [m["name"] for m in result["measurements"]]
    assert len(set(names)) == len(names)
    wanted = (
        {"coreset", "patchcore", "search, ivf"} if "coreset" in parts else {"fine-tuning", "help"}
    )
    assert wanted <= set(names)
    if "coreset" in parts:
        coreset = next(m for m in result["measurements"] if m["name"] == "coreset")
        assert coreset["more"]["same_picks"] == coreset["more"]["picks"] == 12
    for m in result["measurements"]:
        assert m["skipped"] or m["figure"] is not None, m["name"]
        if m["ratio"] is not None:
            assert m["ratio"] == pytest.approx(m["baseline"] / m["ours"], rel=1e-2)
    printed = capsys.readouterr().out
    assert "step" in printed.splitlines()[1]
    assert all(name in printed for name in names)


@pytest.mark.slow
@pytest.mark.usefixtures("small_demo")
def test_a_device_is_measured_from_end_to_end():
    result, found = run_device_benchmark("cpu", TINY, limit=3600)  # a busy machine takes its time
    assert [m.name for m in found] == [
        "step alone, float32",
        "step alone, bfloat16",
        "finetune, defaults",
        "finetune, share",
        "saliency",
        "bank",
        "scoring",
        "figures",
        "run",
    ]
    assert all(m.skipped is None and m.figure > 0 for m in found), table(found)
    assert "cores" in result["machine"]["device"]
    json.dumps(result)


def test_a_device_that_is_not_there_is_refused_at_once(capsys):
    assert main(["benchmark", "--device", "cuda:77"]) == 2
    assert "cuda:77" in capsys.readouterr().err
