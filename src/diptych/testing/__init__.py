"""The contract that every method keeps, as checks that can be run on your own.

    from diptych.testing import check_method

    check_method(MyMethod, falls="cycle")

A check that fails raises an `AssertionError` that says what is broken. pytest is not needed;
with it, each check can be a test of its own:

    CASE = Case(MyMethod, tiny_config(MyMethod), falls="cycle")

    @pytest.mark.parametrize("check", checks_of(CASE))
    def test_contract(check):
        check(CASE)

Diptych's own methods go through the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import nn

from diptych.networks.device import cpu_threads
from diptych.testing import contract
from diptych.testing.cases import Case, tiny_config

__all__ = ["Case", "check_method", "checks_of", "tiny_config"]

Check = Callable[[Case], None]
_ALWAYS: tuple[Check, ...] = (contract.check_protocols, contract.check_config)
_OF_TRAINED: tuple[Check, ...] = (
    contract.check_updates,
    contract.check_updates_under_autocast,
    contract.check_groups,
    contract.check_determinism,
    contract.check_term_falls,
)
_OF_GATHERING: tuple[Check, ...] = (contract.check_gathering,)
_IN_RUNS: tuple[Check, ...] = (contract.check_resume, contract.check_translator_file)
_BY_CAPABILITY: Mapping[str, tuple[Check, ...]] = {
    "translate": (contract.check_translation, contract.check_translation_of_batches),
    "generate": (contract.check_generation,),
    "encode": (contract.check_codes,),
    "classify": (contract.check_classes,),
}


def check_method(
    method: type[nn.Module],
    config: Any = None,
    *,
    falls: str | None,
    stepped: str | None = None,
    untrained: Collection[str] = (),
) -> None:
    """Run every check that applies to a method; takes seconds with small networks.

    `config` is an instance of the method's `Config`; by default `tiny_config(method)`. `falls`,
    `stepped` and `untrained` are those of `Case`. The global random state is left as it was.

    Raises:
        AssertionError: the method breaks the contract; the message says how.
    """
    contract.check_class(method)
    config = tiny_config(method) if config is None else config
    case = Case(method, config, falls=falls, stepped=stepped, untrained=untrained)
    # Of tensors this small, threads would only wait for each other.
    with cpu_threads(1), torch.random.fork_rng(devices=[]):
        for check in checks_of(case):
            check(case)


def checks_of(case: Case) -> list[Check]:
    """The checks that apply to a case, by whether it trains and by the functions it has."""
    capabilities = [name for name in _BY_CAPABILITY if hasattr(case.method, name)]
    return [
        *_ALWAYS,
        *(_OF_TRAINED if case.falls is not None else _OF_GATHERING),
        *(check for name in capabilities for check in _BY_CAPABILITY[name]),
        *_IN_RUNS,
    ]
