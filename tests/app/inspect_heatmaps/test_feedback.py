"""The Inspect page on an evaluation by a bank that learnt more photos."""

from __future__ import annotations

from cutswap.commands.parser import main
from cutswap.data.datasets import open_dataset
from cutswap.decision.feedback import fed_back
from cutswap.evaluation.scored_set import read_scored
from cutswap.patchcore.memory_bank import MemoryBank
from tests.helpers.inspect_page import no_trace, open_page, words


def test_it_is_opened_and_a_photo_that_is_fine_is_what_patches_are_like(world, saved, capsys):
    out = saved / "second"
    line = ["feedback", "--evaluation", str(saved / "first"), "--quiet"]
    assert main([*line, "--fine", "test/good/000", "--out", str(out)]) == 0
    capsys.readouterr()
    found = read_scored(out)
    category = open_dataset(world / "demo").category("bolt")
    assert [record.name for record in fed_back(found.summary, category)] == ["test/good/000"]
    bank = MemoryBank.load(out / "bank.safetensors")
    assert bank.origin[-1, 0] == found.summary["n_train"]
    # test/good/002 is the same photo: its hottest patch is like one of those that joined
    at = open_page(eval="second", img="test/good/002")
    no_trace(at)
    assert not at.error
    assert "test/good/002 · score **" in words(at)
    assert "test/good/000" in words(at)
    assert "The most similar normal patch" in [s.value for s in at.subheader]


def test_a_good_photo_s_feedback_is_a_command_to_copy(saved):
    at = open_page(eval="first", img="test/good/001")
    said = "\n".join(c.value for c in at.code)
    assert f"cutswap feedback --evaluation {saved / 'first'} --fine test/good/001" in said
    at = open_page(eval="first", img="test/spot/000")
    assert "cutswap feedback" not in "\n".join(c.value for c in at.code)


def test_a_photo_elsewhere_is_not_shown(world):
    entry = {
        "action": "fine",
        "fine": ["/etc/hostname"],
        "defects": [],
        "joined": 1,
        "source": "x",
        "alarms": [0, 0, 1],
        "found": [0, 0, 1],
        "threshold": 1.0,
    }
    category = open_dataset(world / "demo").category("bolt")
    (record,) = fed_back({"feedback": [entry]}, category)
    assert record.image.parent == category.root
    assert not record.image.exists()
