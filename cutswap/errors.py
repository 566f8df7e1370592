"""The one error a user sees: its subject, what was expected, what was found, how to fix it."""

from __future__ import annotations

from collections.abc import Sequence


class CutSwapError(ValueError):
    """A refusal that a person can act on; the command line prints it without a traceback.

    Args:
        subject: the file, folder or setting it is about.
        expected: what would have been right.
        found: what was there instead.
        fix: the next step, as an imperative sentence without its full stop.

    Example:
        >>> print(CutSwapError("k", expected="an integer >= 1", found=0, fix="pass --k 4"))
        k: expected an integer >= 1, found 0. To fix it: pass --k 4.
    """

    def __init__(self, subject: object, *, expected: str, found: object, fix: str) -> None:
        self.subject = str(subject)
        self.expected = expected
        self.found = str(found)
        self.fix = fix
        super().__init__(
            f"{self.subject}: expected {expected}, found {self.found}. To fix it: {fix}."
        )

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments need a helper to cross process borders (data loader workers).
        return _rebuild, (type(self), self.subject, self.expected, self.found, self.fix)


class MissingWeightsError(CutSwapError):
    """Weights that are not on this machine and could not be downloaded."""


class DeviceLostError(CutSwapError):
    """A device was lost during a computation; the run resumes from its checkpoint."""


def first_names(names: Sequence[str], shown: int = 3) -> str:
    """The first of many names for a message: `a, b, c and 7 more`."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def _rebuild(
    kind: type[CutSwapError], subject: str, expected: str, found: str, fix: str
) -> CutSwapError:
    return kind(subject, expected=expected, found=found, fix=fix)
