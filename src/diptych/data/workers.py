"""Processes that decode batches ahead. They never import the script that started them.

Where processes are not forked (Windows, macOS, Linux from Python 3.14 on), Python imports the
main script again in each new process, so that what the script defines is known there. Nothing
that these workers are sent comes from a script. Without that import a script needs no
`if __name__ == "__main__"` guard, and is not run once more by every worker.
"""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import spawn
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from diptych.data.draws import BatchMaker, Made

_PREFETCHED = 4  # batches a worker
_MAIN_KEYS = ("init_main_from_name", "init_main_from_path", "main_path")
_one_at_a_time = threading.Lock()


def decoded_ahead(
    maker: BatchMaker, start: int, workers: int, start_method: str | None
) -> Iterator[Made]:
    """Batches `start`, `start` + 1, … in order, made by `workers` processes.

    `start_method` is one of Python's `multiprocessing`; None takes the platform's. The
    processes end when the iterator is freed.
    """
    loader: DataLoader[Made] = DataLoader(
        maker,
        batch_size=None,
        sampler=_CountFrom(start),
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=_leave_interrupts_to_the_parent,
        prefetch_factor=_PREFETCHED,
        multiprocessing_context=start_method,
        generator=torch.Generator(),  # else it takes a number from the global one
    )
    with _without_main():
        return iter(loader)


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes that this thread starts inside the block do not import the main script.

    Python has no option for it. It asks `spawn.get_preparation_data` what a new process needs,
    on every platform; inside the block the answer to this thread names no script.
    """
    this_thread = threading.get_ident()
    with _one_at_a_time:
        real = spawn.get_preparation_data

        def without_main(name: str) -> dict[str, Any]:
            needs = real(name)
            if threading.get_ident() == this_thread:
                for key in _MAIN_KEYS:
                    needs.pop(key, None)
            return needs

        spawn.get_preparation_data = without_main
        try:
            yield
        finally:
            spawn.get_preparation_data = real


class _CountFrom(Sampler[int]):
    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.start)


def _as_it_is(made: Any) -> Any:  # a Made; torch's types know of lists alone
    return made


def _leave_interrupts_to_the_parent(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; only the parent knows what to finish first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
