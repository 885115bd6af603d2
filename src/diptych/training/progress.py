"""How far training is: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from diptych.training.notebook import Notebook

_AVERAGED = 20  # losses shown are means over about this many reports
_RATE_WINDOW_SECONDS = 30.0
_NOTEBOOK_SECONDS = 0.5


class TrainingProgress:
    """Shows steps, losses, speed and time left on standard error; a context manager.

    On a terminal it is two lines that stay in place, in a notebook a bar; elsewhere
    (a file, CI) one plain line at most every `every_seconds`, and one at the end.
    """

    def __init__(
        self,
        total_steps: int,
        start: int = 0,
        *,
        images_per_step: int = 1,
        console: Console | None = None,
        every_seconds: float = 10.0,
        notebook: Notebook | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total_steps, self.step = total_steps, start
        self._start, self._images_per_step = start, images_per_step
        self._console = console if console is not None else Console(stderr=True)
        self._notebook = notebook
        self._every_seconds = every_seconds if notebook is None else _NOTEBOOK_SECONDS
        self._clock = clock
        self._losses: dict[str, float] = {}
        self._reports, self._reported_at = 0, dict[str, int]()
        self._began = self._printed_at = clock()
        self._printed_step: int | None = None
        self._marks: deque[tuple[float, int]] = deque([(self._began, start)])
        self._live: Live | None = None

    def __enter__(self) -> TrainingProgress:
        self._began = self._printed_at = self._clock()
        self._marks = deque([(self._began, self.step)])
        if self._is_live:
            self._live = Live(self, console=self._console, refresh_per_second=4)
            self._live.start()
        elif self._notebook is not None:
            self._print()  # the bar stands above the first picture
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        elif self._printed_step != self.step:
            self._print()

    def update(self, step: int, losses: Mapping[str, float] | None = None) -> None:
        """`step` iterations are done; `losses`, if known, join a moving average."""
        now = self._clock()
        self.step = step
        if now > self._marks[-1][0] + 0.2:  # a fast loop must not fill the memory
            self._marks.append((now, step))
        while len(self._marks) > 2 and now - self._marks[1][0] > _RATE_WINDOW_SECONDS:
            self._marks.popleft()
        if losses:
            self._average(losses)
        is_due = now - self._printed_at >= self._every_seconds
        if is_due and not self._is_live:
            self._print()

    def _average(self, losses: Mapping[str, float]) -> None:
        self._reports += 1
        for name, value in losses.items():
            before = self._losses.get(name, value)
            self._losses[name] = before + (value - before) * 2 / (_AVERAGED + 1)
            self._reported_at[name] = self._reports
        for name, report in self._reported_at.items():
            if self._reports - report >= _AVERAGED:  # a loss of the beginning only
                self._losses.pop(name, None)

    def message(self, text: str) -> None:
        """Print a line of its own, above the display where there is one."""
        if self._notebook is not None:
            self._notebook.message(text)
            return
        # In a file it stays one line; on a terminal it breaks between words.
        whole = not self._console.is_terminal
        self._console.print(text, markup=False, highlight=False, soft_wrap=whole)

    @property
    def _is_live(self) -> bool:
        return self._console.is_terminal and self._notebook is None

    @property
    def steps_per_second(self) -> float:
        """Over the last half minute; 0 until the first step is done."""
        then, before = self._marks[0]
        seconds = self._clock() - then
        return (self.step - before) / seconds if seconds > 0 else 0.0

    @property
    def images_per_second(self) -> float:
        return self.steps_per_second * self._images_per_step

    def line(self) -> str:
        """The state as one plain line."""
        share = self.step / max(1, self.total_steps)
        parts = [
            f"step {self.step}/{self.total_steps}",
            f"{share:.0%}",
            " ".join(self._loss_texts()),
            f"{self.images_per_second:.1f} images/s",
            f"{_clock_text(self._seconds_left())} left",
        ]
        return "  ".join(part for part in parts if part)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        elapsed = _clock_text(self._clock() - self._began)
        left = _clock_text(self._seconds_left())
        tail = f"{self.images_per_second:.1f} images/s  {elapsed} elapsed  {left} left"
        count = f"{self.step}/{self.total_steps}"
        share = f"{self.step / max(1, self.total_steps):4.0%}"
        bar = width - len(count) - len(share) - len(tail) - 8  # the paddings, and one spare cell
        row = Table.grid(padding=(0, 2, 0, 0))
        cells: list[Text | ProgressBar] = [Text(count, style="bold"), Text(share)]
        if bar >= 8:
            cells.insert(
                1, ProgressBar(total=max(1, self.total_steps), completed=self.step, width=bar)
            )
            cells.append(Text(tail, style="dim"))
        else:
            cells.append(Text(f"{left} left", style="dim"))
        for _ in cells:
            row.add_column(no_wrap=True)
        row.add_row(*cells)
        yield row
        yield Text(_fitting(self._loss_texts(), width - 1), no_wrap=True, overflow="crop")

    def _loss_texts(self) -> list[str]:
        return [f"{name} {value:.3g}" for name, value in self._losses.items()]

    def _seconds_left(self) -> float | None:
        rate = self.steps_per_second
        return (self.total_steps - self.step) / rate if rate > 0 else None

    def _print(self) -> None:
        if self._notebook is not None:
            self._notebook.progress(self.step / max(1, self.total_steps), self.line())
        else:  # not through rich, which would break the line at the width it guesses
            print(self.line(), file=self._console.file, flush=True)
        self._printed_at, self._printed_step = self._clock(), self.step


def _fitting(parts: list[str], width: int) -> str:
    """As many of `parts` as fit, with an ellipsis where some had to go."""
    shown = "  ".join(parts)
    while parts and len(shown) > width:
        parts = parts[:-1]
        shown = "  ".join([*parts, "…"])
    return shown


def _clock_text(seconds: float | None) -> str:
    if seconds is None:
        return "–:––"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
