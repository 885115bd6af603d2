"""The settings of a study. They are fixed when it is made, and the same for all participants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from diptych.errors import InputError

Pairing = Literal["different", "same"]
Presentation = Literal["together", "in-turn"]

_LONGEST_TEXT = 500


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """The settings saved with a study. Do not change them once people take part.

    Raises:
        InputError: there are no methods or two share a name, or a number or the length of a
            text is out of range.
    """

    direction: str
    """The direction of translation, such as "map→photo". It heads the report's column."""
    methods: tuple[str, ...]
    """Names of the methods that made the images, in the report's order. Participants do not
    see them."""
    seed: int = 0
    """Seed for each participant's method, images, their order and their sides."""
    practice: int = 10
    """Number of trials with feedback that do not count; 10 in Zhu et al. 2017, Sec. 5.1.1."""
    counted: int = 40
    """Number of trials that count; 40 in Zhu et al. 2017, Sec. 5.1.1."""
    exposure_seconds: float = 1.0
    """How long images are visible; 1 in Isola et al. 2017, Sec. 3.3."""
    pairing: Pairing = "different"
    """Whether the images of a pair show the same scene or different scenes. For maps and photos,
    Isola et al. show different ones "in order to make the task more difficult"."""
    presentation: Presentation = "together"
    """Whether both images are shown at once or first the left one, then the right one. Each is
    visible for `exposure_seconds`."""
    title: str = "Which image is real?"
    """The page's heading."""
    contact: str = ""
    """Who runs the study and answers questions. The consent page shows it."""

    def __post_init__(self) -> None:
        if not self.methods:
            raise InputError("a study needs at least one method's images")
        if len(set(self.methods)) < len(self.methods):
            raise InputError(f"methods are {', '.join(self.methods)}: each needs its own name")
        if self.practice < 0 or self.counted < 1 or self.total < 2:
            raise InputError(
                f"{self.practice} practice trials and {self.counted} that count: expected at"
                " least 0 and 1, and 2 in all"
            )
        if not 0 < self.exposure_seconds <= 60 or math.isnan(self.exposure_seconds):
            raise InputError(
                f"exposure is {self.exposure_seconds} seconds: it must be above 0 and at most 60"
            )
        for name in ("title", "contact"):
            if len(getattr(self, name)) > _LONGEST_TEXT:
                raise InputError(f"{name} is longer than {_LONGEST_TEXT} characters: shorten it")

    @property
    def total(self) -> int:
        """Number of trials in a session."""
        return self.practice + self.counted
