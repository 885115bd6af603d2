"""`diptych COMMAND ...`: finds the command, and says in one line what went wrong."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence

from diptych import __version__
from diptych.cli.parse import complain, run_command
from diptych.errors import InputError, command_line

_COMMANDS = {
    "doctor": "doctor.doctor_command",
    "train": "train.train_command",
    "translate": "translate.translate_command",
    "generate": "generate.generate_command",
    "interpolate": "generate.interpolate_command",
    "evaluate": "evaluate.evaluate_command",
    "report": "report.report_command",
    "study": "study.study_command",
    "bench": "bench.bench_command",
    "methods": "lists.methods_command",
    "samples": "lists.samples_command",
}
"""By name, the module of `diptych.cli` and the function in it: only what is asked for is loaded."""

_HELP = """\
usage: diptych COMMAND ...

Translate images between two or more image folders, paired or not.

  doctor DATA          check data before a long training
  train METHOD         train a method
  translate RUN        translate images to another domain
  generate RUN         make new images from noise
  interpolate RUN A B  draw the images between two images
  evaluate RUN         score a run on held-out images
  report RUN           rebuild a run's report.html
  study                ask people which images are real
  bench DATA           compare many methods under one budget
  methods              list the methods
  samples              list data sets that need no files of your own

For example:

  diptych train cyclegan --data horse2zebra/ --preset fast --minutes 30
  diptych translate runs/cyclegan-horse2zebra album/ --to zebra

Run diptych COMMAND --help for a command's options.
Run diptych --version for the version.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for input that cannot be used,
    1 for training that diverged, 130 for an interrupt."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # one that has no letter for → gets a ?
            stream.reconfigure(errors="replace")
    try:
        with command_line(), _messages():
            return _dispatch(arguments)
    except InputError as error:
        return complain(str(error))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise
        return complain(f"cannot write {error.filename or 'a file'}: {error.strerror}")
    except KeyboardInterrupt:
        return complain("stopped", code=130)


def _dispatch(arguments: list[str]) -> int:
    command, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if command in ("--help", "-h"):
        print(_HELP, end="")
        return 0
    if command == "--version":
        print(f"diptych {__version__}")
        return 0
    if command not in _COMMANDS:
        raise InputError(f"no command {command!r}; there are: {', '.join(_COMMANDS)}")
    return run_command(_COMMANDS[command], rest)


_log = logging.getLogger("diptych")


@contextlib.contextmanager
def _messages() -> Iterator[None]:
    """The library's own messages on standard error, as plain lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.removeHandler(handler)
