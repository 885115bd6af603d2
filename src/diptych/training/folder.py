"""A run's folder: the first process of a run puts it in order, the others leave it alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diptych.checkpoint import STATE_FILE, STATE_FILES, TRANSLATOR_FILE, load_state, save_state
from diptych.data import Palette
from diptych.errors import InputError, call, option, resume_call
from diptych.evaluation.familiarity import FAMILIARITY_FILE
from diptych.files import only_one_process, remove_leftovers
from diptych.report.page import REPORT_FILE
from diptych.training.log import METRICS_FILE
from diptych.training.loggers import LOGGER_FILES, LOGGER_FOLDERS
from diptych.training.previews import PREVIEW_FOLDERS
from diptych.training.ranks import Ranks
from diptych.training.session import SNAPSHOTS_FOLDER
from diptych.training.settings import CONFIG_FILE, Plan, write_plan
from diptych.training.summary import SCORES_FILE, summarise

LOCK_FILE = "run.lock"
_OWN_FILES = (
    *STATE_FILES, CONFIG_FILE, TRANSLATOR_FILE, METRICS_FILE, REPORT_FILE, SCORES_FILE,
    FAMILIARITY_FILE, *LOGGER_FILES,
)  # fmt: skip
_OWN_FOLDERS = (*PREVIEW_FOLDERS, SNAPSHOTS_FOLDER, *LOGGER_FOLDERS)


class RunFolder:
    """The folder of a run, for the one process that writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check_free(self, *, overwrite: bool) -> None:
        """Hold a new run to a folder that has no run in it, or that may be overwritten.

        Raises:
            InputError: the folder is a file, or holds a run.
        """
        if self.path.is_file():
            raise InputError(f"{self.path} is a file: give {option('out')} the name of a folder")
        taken = any((self.path / name).exists() for name in (*_OWN_FILES, *_OWN_FOLDERS))
        if taken and not overwrite:
            raise InputError(
                f"{self.path} already holds a run: go on with it by {resume_call(self.path)},"
                f" give another {option('out')}, or"
                f" {call('--overwrite it', 'pass overwrite=True')}"
            )

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Make the folder, clear it of an earlier run, and keep other processes out.

        Raises:
            InputError: the folder cannot be written, or another process is training in it.
        """
        with _usable(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with self.locked():
            with _usable(self.path):
                self._clear()
            self.sweep()
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out.

        Raises:
            InputError: another process is training in it.
        """
        with only_one_process(self.path, LOCK_FILE):
            yield

    def sweep(self) -> None:
        """Remove what killed processes left: a torn state may be as large as a whole one."""
        remove_leftovers(self.path, _OWN_FILES)
        for name in PREVIEW_FOLDERS:
            remove_leftovers(self.path / name, ("*.png",))
        remove_leftovers(self.path / SNAPSHOTS_FOLDER, ("*.safetensors",))

    def state(self) -> dict[str, Any] | None:
        """The newest good state; None where the run was killed before its first one."""
        has_one = any((self.path / name).exists() for name in STATE_FILES)
        return load_state(self.path) if has_one else None

    def write(self, plan: Plan) -> None:
        """Write config.toml."""
        write_plan(self.path, plan)

    def save(self, state: Mapping[str, Any]) -> None:
        """Save what `state()` returns from now on."""
        save_state(self.path, state)

    def summarise(
        self, notes: tuple[str, ...] = (), palettes: Mapping[str, Palette] | None = None
    ) -> None:
        """Write report.html."""
        summarise(self.path, notes=notes, palettes=palettes)

    def make_up_report(self) -> None:
        """Write report.html if a kill came between the last state and it."""
        if not self._has_current_report():
            self.summarise()

    def _has_current_report(self) -> bool:
        report, state = self.path / REPORT_FILE, self.path / STATE_FILE
        if not (report.exists() and state.exists()):
            return False
        return report.stat().st_mtime_ns >= state.stat().st_mtime_ns

    def _clear(self) -> None:
        """Remove what an earlier run left in the folder, and nothing else."""
        for name in _OWN_FILES:
            (self.path / name).unlink(missing_ok=True)
        for name in _OWN_FOLDERS:
            if (self.path / name).exists():
                shutil.rmtree(self.path / name)


class _OthersFolder(RunFolder):
    """The folder of a run that another process writes: it is only read."""

    def check_free(self, *, overwrite: bool) -> None:
        pass

    @contextmanager
    def begun(self) -> Iterator[None]:
        yield

    locked = begun

    def sweep(self) -> None:
        pass

    def write(self, plan: Plan) -> None:
        pass

    def save(self, state: Mapping[str, Any]) -> None:
        pass

    def summarise(
        self, notes: tuple[str, ...] = (), palettes: Mapping[str, Palette] | None = None
    ) -> None:
        pass


def run_folder(path: Path, ranks: Ranks) -> RunFolder:
    """The folder at `path`, which the first of `ranks` alone writes."""
    return RunFolder(path) if ranks.is_first else _OthersFolder(path)


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot use {path} for the run: {error.strerror}") from error
