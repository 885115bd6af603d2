"""The files that a run is saved in.

A state file holds everything that an exact resume needs. A translator file holds the weights
needed to translate, and a header that says how to use them. Loading either runs no code from
the file: states are loaded with `weights_only=True`, and translators are safetensors.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from diptych.data.pixels import RGB8, PixelFormat, channel_counts
from diptych.errors import InputError, check_path, option, resume_call
from diptych.files import atomic_write
from diptych.methods import build, give_for, make_config
from diptych.types import Kept

FORMAT = 1
"""Format version of translator files. Files of other versions are refused."""
STATE_FORMAT = 2
"""Format version of state files. Files of other versions are refused."""
TRANSLATOR_FILE = "translator.safetensors"
STATE_FILE = "state.pt"
NEW_STATE_FILE = "state.new.pt"
PREVIOUS_STATE_FILE = "state.previous.pt"
STATE_FILES = (NEW_STATE_FILE, STATE_FILE, PREVIOUS_STATE_FILE)
"""Newest first. state.new.pt exists only if the process died before renaming it."""

# The errors that zipfile and torch raise for a damaged file. One flipped bit can look like
# another compression method, encryption or a name that is not text.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError,
    OSError, EOFError, ValueError, KeyError, RuntimeError,
)  # fmt: skip

_log = logging.getLogger("diptych")


# --- states ------------------------------------------------------------------


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write `state` to the run's folder.

    The previous state is kept beside it as state.previous.pt.

    Raises:
        InputError: the disk is full or the folder cannot be written. The
            states saved before are unchanged.
    """
    path = folder / STATE_FILE
    try:
        with atomic_write(folder / NEW_STATE_FILE) as file:
            torch.save({"format": STATE_FORMAT, **state}, file)
        _take_over(folder)
    except (OSError, RuntimeError) as error:  # torch wraps the writer's error
        cause = error if isinstance(error, OSError) else (error.__context__ or error)
        raise InputError(
            f"cannot write {path}: {cause}; earlier checkpoints are unchanged: free some disk"
            f" space, then run {resume_call(folder)}"
        ) from error


def _take_over(folder: Path) -> None:
    """Rename the current state to the previous one, and the new state to the current one."""
    path = folder / STATE_FILE
    if path.exists():
        path.replace(folder / PREVIOUS_STATE_FILE)
    (folder / NEW_STATE_FILE).replace(path)


def load_state(folder: Path) -> dict[str, Any]:
    """Load the newest undamaged state of the run in `folder`, with its tensors on the CPU.

    A damaged state is skipped with a warning, and the state before it is loaded.

    Raises:
        InputError: there is no undamaged state, or its format version is another one.
    """
    paths = [folder / name for name in STATE_FILES if (folder / name).exists()]
    if not paths:
        raise InputError(f"{folder} holds no {STATE_FILE}: is it a run's folder?")
    damaged: list[str] = []
    for path in paths:
        try:
            state = _read_state(path)
        except _DAMAGE as error:
            cause = str(error).partition("\n")[0]
            damaged.append(f"{path} is damaged ({cause})")
            continue
        for damage in damaged:
            _log.warning("%s: using the checkpoint before it", damage)
        if state.get("format") != STATE_FORMAT:
            raise InputError(
                f"{path} has format {state.get('format')}, this version of Diptych reads"
                f" {STATE_FORMAT}: install the version named in {folder / 'config.toml'}"
            )
        if path.name == NEW_STATE_FILE:
            with suppress(OSError):  # a read-only folder stays as it is
                _take_over(folder)
        return state
    raise InputError(
        f"{damaged[0]}, and there is no undamaged checkpoint beside it:"
        f" start the run again with {option('overwrite', True)}"
    )


def _read_state(path: Path) -> dict[str, Any]:
    """Read a state file after verifying its checksums. Raises one of `_DAMAGE`."""
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
    if bad is not None:
        raise zipfile.BadZipFile(f"{bad} fails its checksum")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise ValueError(f"it holds a {type(state).__name__}")
    return cast(dict[str, Any], state)


# --- translators -------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TranslatorInfo:
    """The header of a translator file."""

    method: str
    config: dict[str, Any]
    domains: tuple[str, ...]
    size: int
    """Side of the training images, in pixels."""
    step: int
    """Number of training steps."""
    fingerprint: str
    """Fingerprint of the training data."""
    source: str
    """The training data, as the user named them."""
    version: str
    """Version of Diptych that saved the file."""
    classes: tuple[str, ...] = ()
    """Class names, in the order of a classifier's scores."""
    has_attributes: bool = False
    """Whether domains are attributes, so that an image may belong to several at once."""
    pixels: tuple[PixelFormat, ...] = ()
    """The pixel format of each domain; empty in files of versions that knew 8-bit RGB only."""

    @property
    def pixel_formats(self) -> tuple[PixelFormat, ...]:
        """The pixel format of each domain."""
        return self.pixels or (RGB8,) * len(self.domains)


def save_translator(path: Path, weights: Mapping[str, Tensor], info: TranslatorInfo) -> None:
    """Write `weights` and `info` to one safetensors file.

    Raises:
        InputError: the file cannot be written.
    """
    header = {"diptych": json.dumps({"format": FORMAT, **asdict(info)}, sort_keys=True)}
    tensors = {name: t.detach().cpu().contiguous() for name, t in weights.items()}
    data = safetensors_bytes(tensors, metadata=header)
    try:
        with atomic_write(path) as file:
            file.write(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error


def inference_weights(method: nn.Module) -> dict[str, Tensor]:
    """Return the method's weights that inference needs, by name.

    The result is empty for a method that does not implement `Kept`.
    """
    if not isinstance(method, Kept):
        return {}
    prefixes = tuple(f"{name}." for name in method.inference_modules)
    return {
        name: value
        for name, value in method.state_dict().items()
        if name.startswith(prefixes) and isinstance(value, Tensor)
    }


def translator_path(path: str | os.PathLike[str]) -> Path:
    """Return the translator file in a run's folder, or `path` itself if it is a file.

    Raises:
        InputError: there is no such file.
    """
    path = check_path(path, "a run's folder or a .safetensors file")
    file = path / TRANSLATOR_FILE if path.is_dir() else path
    if not file.is_file():
        if not path.is_dir():
            raise no_such_run(path)
        raise InputError(
            f"{path} holds no {TRANSLATOR_FILE}: give a run's folder or a .safetensors file"
        )
    return file


def no_such_run(path: Path) -> InputError:
    """Return the error to raise where a run is asked for that does not exist."""
    return InputError(f"no such run or file: {path}; give a run's folder or a .safetensors file")


def read_translator(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], TranslatorInfo]:
    """Read the weights and the header of a translator file or a run's folder.

    Raises:
        InputError: the file is missing, damaged, not written by Diptych, or of
            another format version.
    """
    file = translator_path(path)
    try:
        with safe_open(file, framework="pt") as tensors:
            header = json.loads((tensors.metadata() or {}).get("diptych", "null"))
            weights = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{file} is damaged or not a translator: {error}") from error
    if not isinstance(header, dict):
        raise InputError(f"{file} is a safetensors file, but not one of Diptych's translators")
    if header.pop("format", None) != FORMAT:
        raise InputError(
            f"{file} was written by Diptych {header.get('version')}: this version cannot read it"
        )
    try:
        header.pop("preprocessing", None)  # written up to 0.1.0 and never read
        lists = {"domains": header["domains"], "classes": header.get("classes", ())}
        lists["pixels"] = [PixelFormat.from_dict(one) for one in header.get("pixels", ())]
        info = TranslatorInfo(**header | {name: tuple(value) for name, value in lists.items()})
    except (TypeError, KeyError) as error:
        raise InputError(f"{file} has an unusable header: {error}") from error
    return weights, info


def load_translator(
    path: str | os.PathLike[str], method: type[nn.Module] | None = None
) -> tuple[nn.Module, TranslatorInfo]:
    """The method of a translator file or a run's folder, in eval mode, on the CPU.

    `method` is its class, if it is from outside. Nothing is imported because the file names
    it. Only the `inference_modules` are trained; the rest is as initialised.

    Raises:
        InputError: missing, damaged, not Diptych's, of another version, or of a method that
            is not known.
    """
    weights, info = read_translator(path)
    give_for(info.method, path, method)
    with torch.random.fork_rng(devices=[]):  # building draws weights that are then replaced
        config = make_config(info.method, info.config)
        built = build(info.method, config, channel_counts(info.pixel_formats))
    load_weights(built, weights, str(path))
    return built.eval().requires_grad_(False), info


def load_weights(method: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Copy a translator's weights into a method of the same shape.

    `source` is what messages call the weights.

    Raises:
        InputError: names or shapes differ.
    """
    own = inference_weights(method)
    if own.keys() != weights.keys():
        odd = sorted(own.keys() ^ weights.keys())[0]
        raise InputError(f"{source} does not fit this configuration: {odd} is not in both")
    for name, value in weights.items():
        if own[name].shape != value.shape:
            raise InputError(
                f"{source} does not fit this configuration: {name} is {tuple(value.shape)},"
                f" not {tuple(own[name].shape)}"
            )
        own[name].copy_(value)
