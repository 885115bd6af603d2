"""Diptych: image-to-image translation, unpaired first.

run = diptych.train("cyclegan", data="horse2zebra/", steps=20_000)
zebra = diptych.load(run.folder)(image, to="zebra")
"""

__version__ = "0.1.0"

from diptych.api import Run, evaluate, load, load_classifier, resume, train
from diptych.errors import InputError

__all__ = [
    "InputError",
    "Run",
    "__version__",
    "evaluate",
    "load",
    "load_classifier",
    "resume",
    "train",
]
