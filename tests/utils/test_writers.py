"""Writers: everything is written before the block ends, errors are told, one thread keeps order."""

from __future__ import annotations

import time

import pytest

from cutswap.errors import CutSwapError
from cutswap.utils.writers import Writers


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_all_is_written_when_the_block_ends(threads: int):
    written: list[int] = []

    def write(number: int) -> None:
        time.sleep(0.002)
        written.append(number)

    with Writers(threads) as writers:
        for number in range(20):
            writers.write(write, number)
    assert sorted(written) == list(range(20))
    if threads < 2:
        assert written == list(range(20))


def fail() -> None:
    raise CutSwapError("disk", expected="room", found="none", fix="free some")


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("more", [0, 5])
def test_an_error_is_told_at_the_next_write_or_at_the_end(threads: int, more: int):
    def write_all() -> None:
        with Writers(threads) as writers:
            writers.write(fail)
            for _ in range(more):
                writers.write(int)

    with pytest.raises(CutSwapError, match="disk"):
        write_all()


def test_an_error_of_the_block_itself_is_the_one_that_is_told():
    written: list[int] = []

    def write_and_stop() -> None:
        with Writers(1) as writers:
            writers.write(written.append, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_stop()
    assert written == [1]
