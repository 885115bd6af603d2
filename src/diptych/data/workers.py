"""Worker processes that decode batches ahead. They do not import the script that started them.

Where processes are not forked (Windows, macOS, Linux from Python 3.14 on), Python imports the
main script again in each new process, to know what the script defines. These workers need
nothing from the script. Without the import, a script needs no `if __name__ == "__main__"` guard,
and workers do not run it again.
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
    """Return an iterator over batches `start`, `start` + 1, …, made by `workers` processes.

    `start_method` is one of Python's `multiprocessing`; None means the platform's default. The
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
        generator=torch.Generator(),  # otherwise the loader draws from the global generator
    )
    with _without_main():
        return iter(loader)


@contextmanager
def _without_main() -> Iterator[None]:
    """Inside the block, processes that this thread starts do not import the main script.

    Python has no option for this. On every platform, it calls `spawn.get_preparation_data` to
    find out what a new process needs. Inside the block, the result for this thread names no
    script.
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


def _as_it_is(made: Any) -> Any:  # a Made; torch's annotation allows only lists
    return made


def _leave_interrupts_to_the_parent(worker: int) -> None:
    """Ignore Ctrl-C, which reaches every process of a terminal. The parent decides how to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
