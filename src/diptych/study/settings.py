"""What a study asks of its participants: fixed when it is made, the same for all of them."""

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
    """Saved with the study, and not to be changed once people take part."""

    direction: str
    """What was translated, such as "map→photo": the heading of the report's column."""
    methods: tuple[str, ...]
    """Names of what made the images, in the report's order; no participant sees them."""
    seed: int = 0
    """Draws who gets which method, which images, in which order, and their sides."""
    practice: int = 10
    """Trials with feedback that do not count; 10 in Zhu et al. 2017, Sec. 5.1.1."""
    counted: int = 40
    """Trials that count; 40 there."""
    exposure_seconds: float = 1.0
    """How long images are visible; 1 in Isola et al. 2017, Sec. 3.3."""
    pairing: Pairing = "different"
    """Whether the two images of a pair show the same scene; Isola et al. show different ones of
    maps and photos "in order to make the task more difficult"."""
    presentation: Presentation = "together"
    """Both images at once, or the left one and then the right one, each so long."""
    title: str = "Which image is real?"
    """The page's heading."""
    contact: str = ""
    """Who runs the study and answers questions, for the page that asks for consent."""

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
        """Trials of a session."""
        return self.practice + self.counted
