"""What commands share: categories by name, also by names with a comma."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutswap.commands.parser import main, parse
from cutswap.data.records import natural_order
from cutswap.studies.flags import study_arguments
from tests.helpers.datasets import build_category
from tests.helpers.studies import LAPTOP

NAMES = ("a", "b", "a,b", "bolt, M6", "日,本")
NETWORKS = [
    *("--weights", "random", "--saliency-weights", "random"),
    *("--saliency-backbone", "squeezenet1_0", "--quiet", "--plan"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for name in NAMES:
        build_category(root / name)
    return root


@pytest.mark.parametrize("command", [["sweep", "--grid", "k=2"], ["reproduce", "--table", "5"]])
@pytest.mark.parametrize(
    ("typed", "count"),
    [("a\\,b", 1), ("bolt, M6", 1), ("日,本", 1), ("a,b", 2), ("bolt, M6,a\\,b,日,本", 3), ("", 5)],
)
def test_categories_with_a_comma_can_be_chosen(data, tmp_path, capsys, command, typed, count):
    line = [*command, "--data", str(data), "--seeds", "1", "--out", str(tmp_path / "o"), *NETWORKS]
    assert main([*line, "--categories", ""]) == 0
    whole = capsys.readouterr().out
    assert main([*line, "--categories", typed]) == 0
    some = capsys.readouterr().out
    cells = [int(word) for word in whole.split() if word.isdigit() and int(word) % len(NAMES) == 0]
    assert cells
    if count < len(NAMES):
        assert str(max(cells) * count // len(NAMES)) in some.split()
    else:
        assert some == whole


@pytest.mark.parametrize("names", [["a,b"], ["a", "b"], ["bolt, M6", "a"], ["日,本", "a,b", "b"]])
def test_a_study_s_command_names_its_categories(data: Path, tmp_path: Path, capsys, names):
    words = study_arguments(LAPTOP, data, tmp_path, tables=["V"], categories=names, seeds=1)
    assert main([*words, *NETWORKS]) == 0
    said = capsys.readouterr().out
    assert f" on {', '.join(natural_order(names))}, 1 seeds" in said
    assert parse(words).data == data


def test_a_category_that_is_not_there_is_still_refused(data: Path, tmp_path: Path, capsys):
    line = ["sweep", "--grid", "k=2", "--data", str(data), "--out", str(tmp_path), *NETWORKS]
    for typed in ("a,c", "a,b,c", "bolt"):
        assert main([*line, "--categories", typed]) == 2
        assert "no such category" in capsys.readouterr().err
