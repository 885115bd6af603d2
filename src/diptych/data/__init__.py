"""Data sets: from folders or samples to an endless stream of training batches."""

from diptych.data.attributes import for_batches
from diptych.data.collections import Data, Images, Palette, Split
from diptych.data.folders import open_data
from diptych.data.stream import Stream, default_workers, stream
from diptych.data.transforms import evaluation_images, evaluation_pairs

__all__ = [
    "Data",
    "Images",
    "Palette",
    "Split",
    "Stream",
    "default_workers",
    "evaluation_images",
    "evaluation_pairs",
    "for_batches",
    "open_data",
    "stream",
]
