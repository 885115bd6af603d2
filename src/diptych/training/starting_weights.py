"""Weights to begin from: those of a run or of a translator, domain by domain by their names."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor, nn

from diptych.checkpoint import STATE_FILES, load_state, load_weights, read_translator
from diptych.data import Data
from diptych.data.names import nfc
from diptych.data.splits import ordered_as
from diptych.errors import InputError, option
from diptych.training.settings import CONFIG_FILE, read_plan

_log = logging.getLogger("diptych")


def domains_of(source: Path) -> tuple[str, ...]:
    """Return the domains of a run or a translator, in the order in which its weights know them.

    Raises:
        InputError: there is no such run or translator.
    """
    if (source / CONFIG_FILE).is_file():
        return read_plan(source).resolved.domains
    return read_translator(source)[1].domains


def ordered_as_in(data: Data, source: Path) -> Data:
    """Return the data with their domains in the order of the run or translator `source`.

    Its weights for a domain then serve the domain of the same name.

    Raises:
        InputError: the names differ.
    """
    domains = domains_of(source)
    if {*map(nfc, domains)} != {*map(nfc, data.domains)}:
        names = option("names", " ".join(domains))
        raise InputError(
            f"{option('init', str(source))} knows the domains {', '.join(domains)}, and the data"
            f" have {', '.join(data.domains)}: weights go to domains of the same name; give {names}"
            " if these are what the data show, in the order of the data"
        )
    return ordered_as(data, domains)


def start_from(method: nn.Module, source: Path) -> None:
    """Copy weights from a run (all of them) or from a translator (those for translating).

    Histories of generated images stay behind: they show other data.

    Raises:
        InputError: the weights have other names or shapes than those of `method`.
    """
    if not any((source / name).exists() for name in STATE_FILES):
        load_weights(method, read_translator(source)[0], str(source))
        return
    theirs = load_state(source)["method"]
    own = method.state_dict()
    weights = {name: w for name, w in theirs.items() if isinstance(w, Tensor)}
    odd = [name for name, w in weights.items() if name not in own or own[name].shape != w.shape]
    if odd:
        raise InputError(
            f"{option('init', str(source))} does not fit this configuration: {odd[0]} has another"
            f" name or shape; give the options in {source / CONFIG_FILE}"
        )
    fresh = sorted(
        {name.split(".")[0] for name, w in own.items() if isinstance(w, Tensor)}
        - {name.split(".")[0] for name in weights}
    )
    if fresh:
        _log.warning(
            "%s has no %s: they start afresh", option("init", str(source)), ", ".join(fresh)
        )
    method.load_state_dict(weights, strict=False)
