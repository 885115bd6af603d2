"""Diptych: image-to-image translation, unpaired first.

    run = diptych.train("cyclegan", data="horse2zebra/", steps=20_000)
    zebra = diptych.load(run.folder)(image, to="zebra")

Names are imported when they are first used (PEP 562), so that `import diptych` is fast and
loads no PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from diptych.api import Run, resume, train
    from diptych.checkup import Checkup, doctor
    from diptych.data import open_data
    from diptych.errors import InputError
    from diptych.evaluation import Scores
    from diptych.inference.classifier import Classifier, load_classifier
    from diptych.inference.load import load
    from diptych.inference.translate_files import translate_files
    from diptych.inference.translation import Translation
    from diptych.inference.translator import Translator
    from diptych.methods import list_methods
    from diptych.scoring import evaluate, evaluate_seeds

_HOMES = {
    "Checkup": "checkup",
    "Classifier": "inference.classifier",
    "InputError": "errors",
    "Run": "api",
    "Scores": "evaluation",
    "Translation": "inference.translation",
    "Translator": "inference.translator",
    "doctor": "checkup",
    "evaluate": "scoring",
    "evaluate_seeds": "scoring",
    "list_methods": "methods",
    "load": "inference.load",
    "load_classifier": "inference.classifier",
    "open_data": "data",
    "resume": "api",
    "train": "api",
    "translate_files": "inference.translate_files",
}
"""In which module each public name is defined."""

__all__ = [
    "Checkup",
    "Classifier",
    "InputError",
    "Run",
    "Scores",
    "Translation",
    "Translator",
    "__version__",
    "doctor",
    "evaluate",
    "evaluate_seeds",
    "list_methods",
    "load",
    "load_classifier",
    "open_data",
    "resume",
    "train",
    "translate_files",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'diptych' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"diptych.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
