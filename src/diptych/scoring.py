"""Score a run on its data, and save the scores.

`evaluation/` scores plain functions from images to images. This module turns a translator file
into such functions, for `diptych evaluate` and for the bench.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import nn

from diptych.checkpoint import TRANSLATOR_FILE, load_translator, read_translator
from diptych.data import Data
from diptych.errors import InputError, check_path, option
from diptych.evaluation import choosing, evaluate_generated, familiarity, over_seeds
from diptych.evaluation import evaluate as score_translations
from diptych.evaluation.notes import LAST_STEP
from diptych.evaluation.scores import Memory, Scores, choose_split, installed
from diptych.evaluation.segmentation import Segmenter, check_segmentation, segmenter_for
from diptych.evaluation.segmentation_adaptation import (
    ADAPTATION_NOTE,
    adaptation_scores,
    check_adaptation,
)
from diptych.files import atomic_write_text
from diptych.inference.classifier import Classifier
from diptych.inference.translator import Translator
from diptych.networks.features import FeatureNetwork, load_features
from diptych.training.changes import moved
from diptych.training.run import open_plan_data
from diptych.training.session import SNAPSHOTS_FOLDER
from diptych.training.settings import check_seeds, read_plan
from diptych.training.summary import SCORES_FILE, starts_note, summarise
from diptych.types import Classifies

MOST_OF_SLOW = 32
"""The number of images scored in each direction for methods that optimise when they translate."""

ScoreFile = Callable[..., Scores]
"""`score_file` with some options filled in: takes a translator file, data and a split."""


def evaluate(
    folder: str | os.PathLike[str],
    *,
    method: type[nn.Module] | None = None,
    data: str | os.PathLike[str] | None = None,
    x: str | os.PathLike[str] | None = None,
    y: str | os.PathLike[str] | None = None,
    split: str = "test",
    features: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    vgg16: str | os.PathLike[str] | None = None,
    choose: bool = False,
    palette: Sequence[str] = (),
    fcn: bool = False,
    adaptation: bool = False,
    device: str = "auto",
) -> Scores:
    """Score a run on held-out images, and rewrite its scores.json and report.

        scores = diptych.evaluate("runs/x")
        scores.directions["horse→zebra"]["kid"]["mean"]

    By default the weights of the last step are scored. With `choose`, the checkpoint with the
    lowest KID on the validation images is scored. `data`, or `x` and `y`, is where the run's data
    are now, or other data of the same domains. Scores on other data or on another `split` than
    "test" are returned but not written.

    `features` names the network for KID and FID, and `weights` is its file. `vgg16` is the
    path of torchvision's VGG-16 weights; with it, the perceptual distances are LPIPS and DISTS.
    `palette` gives the meaning of the colours of label domains, as for training.

    `fcn` adds the FCN score of labels → photos. `adaptation` adds the scores of segmenters
    trained on source images, on translated images and on the target's own images. Both train
    networks, which takes minutes. Networks that do not depend on a translation are cached.

    Raises:
        InputError: `folder` holds no run, or the run cannot be scored on the data.
    """
    folder = check_path(folder, "a run's folder")
    if weights is not None and features is None:
        raise InputError(
            f"{option('weights', os.fspath(weights))} is the file of which network? Give"
            f" {option('features', 'inception')} too"
        )
    plan = read_plan(folder, method)
    settings = moved(plan.run, data, x, y)
    settings = replace(settings, palette=tuple(palette) or settings.palette)
    opened = open_plan_data(plan, settings)
    is_given = any(place is not None for place in (data, x, y))
    is_own = not is_given or opened.fingerprint == plan.resolved.fingerprint
    if vgg16 is not None and choose_split(opened, split).pairs is None:
        raise InputError(
            f"{option('vgg16')} compares translations with true pairs, and {opened.source} has"
            " none: leave it out"
        )
    score = partial(
        score_file,
        size=plan.config.size,
        features="auto" if features is None else load_features(features, weights),
        vgg16=None if vgg16 is None else load_features("vgg16", vgg16),
        device=device,
    )
    expensive: dict[str, Any] = {
        "fcn": fcn,
        "adaptation_seed": plan.run.seed if adaptation else None,
    }
    if choose:
        found = _score_best(folder, opened, split, score, expensive)
    else:
        found = score(folder, opened, split, **expensive)
    found = replace(found, notes=(*found.notes, *starts_note(plan)))
    if is_own and split == "test":
        scores = found.to_dict()
        atomic_write_text(
            folder / SCORES_FILE, json.dumps(scores, indent=1, allow_nan=False) + "\n"
        )
        if found.features is not None:
            _remember(folder, opened)
        summarise(folder, notes=opened.notes, palettes=opened.palettes)
    return found


def evaluate_seeds(folders: Sequence[str | os.PathLike[str]], **options: Any) -> dict[str, Any]:
    """Score several runs that differ only in their seeds, each as `evaluate` does.

    Return their means with 95% t-intervals: see `evaluation.over_seeds`.

    Raises:
        InputError: there are fewer than two runs, or they differ in more than their seeds.
    """
    paths = list(dict.fromkeys(Path(folder) for folder in folders))
    if len(paths) < 2:
        raise InputError(f"an interval over seeds takes two runs or more, not {len(paths)}")
    check_seeds({str(path): read_plan(path, options.get("method")) for path in paths})
    return over_seeds({str(path): evaluate(path, **options).to_dict() for path in paths})


def score_file(
    path: Path,
    data: Data,
    split: str = "test",
    *,
    size: int,
    features: FeatureNetwork | Literal["auto"] = "auto",
    vgg16: FeatureNetwork | None = None,
    segmenter: Segmenter | None = None,
    fcn: bool = False,
    adaptation_seed: int | None = None,
    memory: Memory | None = None,
    device: str = "auto",
) -> Scores:
    """Return every score that a translator and the data allow.

    `path` is a run's folder or a translator file. `segmenter` adds the FCN score. With `fcn`
    instead, a segmenter is loaded from the cache or trained. With `adaptation_seed`, segmenters
    are trained from that seed, and their scores are added. `memory` is that of
    `evaluation.evaluate`.

    Raises:
        InputError: there is no translator, or it cannot be scored on the data.
    """
    method, info = load_translator(path)
    translator = Translator(method, info, device=device)
    if fcn or adaptation_seed is not None or vgg16 is not None:
        translator.require_translation()
    if not translator.translates:
        make = translator.generate_batch
        return evaluate_generated(make, data, split, size=size, features=features, memory=memory)
    classifies = isinstance(method, Classifies) and bool(data.classes)
    if classifies and data.classes != info.classes:
        raise InputError(
            f"{data.source} has the classes {', '.join(data.classes)}, but {path} was trained on"
            f" {', '.join(info.classes) or 'none'}: give data with the same class folders"
        )
    held_out, place = choose_split(data, split), str(translator.device)
    if fcn:
        check_segmentation(data, held_out)
        segmenter = segmenter_for(data, size=size, device=place)
    if adaptation_seed is not None:
        check_adaptation(data, held_out)
    scores = score_translations(
        translator.translate_batch,
        data,
        split,
        size=size,
        features=features,
        vgg16=vgg16,
        most=MOST_OF_SLOW if translator.is_slow else None,
        classify=Classifier(method, info, device=device).classify_batch if classifies else None,
        segmenter=segmenter,
        memory=memory,
    )
    if adaptation_seed is None:
        return scores
    adapted = adaptation_scores(
        translator.translate_batch, data, held_out, size=size, seed=adaptation_seed, device=place
    )
    return replace(
        scores,
        domains={**scores.domains, **adapted},
        notes=(*scores.notes, ADAPTATION_NOTE),
    )


def _score_best(
    folder: Path, data: Data, split: str, score: ScoreFile, expensive: Mapping[str, Any]
) -> Scores:
    """Score the checkpoint that is best on validation images, and name it in a note."""
    if split == "validation":
        chooses, on = option("choose", True), option("split", "test")
        raise InputError(f"{chooses} uses the validation images to choose: score on {on}")
    last = read_translator(folder / TRANSLATOR_FILE)[1].step
    kept = sorted((folder / SNAPSHOTS_FOLDER).glob("*.safetensors"))
    paths = {f"step {last:,}": folder}  # the last step comes first, so it wins ties
    paths |= {f"step {int(p.stem):,}": p for p in kept if p.stem.isdigit() and int(p.stem) != last}
    if len(paths) == 1:
        raise InputError(
            f"{folder} has no other checkpoint to choose from: train with {option('keep_every')}"
        )
    choice = choosing.choose(
        {name: partial(score, path) for name, path in paths.items()}, data
    )  # by KID
    best = paths[choice.name]
    note = choice.note + ("" if best == folder else f": {best}")
    measured = score(best, data, split, **expensive)
    return replace(measured, notes=tuple(note if n == LAST_STEP else n for n in measured.notes))


def _remember(folder: Path, data: Data) -> None:
    """Save features of the training images, for later warnings about inputs unlike them."""
    path, network = folder / familiarity.FAMILIARITY_FILE, installed()
    if network is None:
        return
    with contextlib.suppress(InputError):  # a damaged file is rewritten
        known = familiarity.read_familiarity(path)
        if known is not None and known.fingerprint == data.fingerprint and known.parts:
            return
    familiarity.save_familiarity(path, familiarity.learn_familiarity(network, data))
