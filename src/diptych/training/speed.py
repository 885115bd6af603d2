"""How long a step takes on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable

from diptych.training.trainer import Trainer

_WARM_UP_STEPS = 2
_LEAST_STEPS = 5


def seconds_per_step(
    trainer: Trainer, seconds: float, agree: Callable[[bool], bool] = lambda goes_on: goes_on
) -> float:
    """The mean over at least five steps and `seconds`, after two to warm up.

    The trainer is of no use afterwards but to be thrown away. Of several processes, each asks
    `agree` whether to go on, so that all take the same steps.
    """
    for _ in range(_WARM_UP_STEPS):
        trainer.step(None)
    begin, done = time.monotonic(), 0
    while agree(done < _LEAST_STEPS or time.monotonic() - begin < seconds):
        trainer.step(None)
        done += 1
    return (time.monotonic() - begin) / done
