"""Scores of a run: what its translator is worth on its data, and the files that keep it.

`evaluation/` scores plain functions from images to images. Here a translator's file becomes
such functions, once for `diptych evaluate` and for the bench.
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
from diptych.errors import InputError, option
from diptych.evaluation import choosing, evaluate_generated, familiarity, over_seeds
from diptych.evaluation import evaluate as score_translations
from diptych.evaluation.scores import LAST_STEP, Memory, Scores, choose_split, installed
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
from diptych.training.run import open_run_data
from diptych.training.session import SNAPSHOTS_FOLDER
from diptych.training.settings import check_seeds, read_plan
from diptych.training.summary import SCORES_FILE, starts_note, summarise
from diptych.types import Classifies

MOST_OF_SLOW = 32
"""Images that are scored of methods that optimise when they translate."""

ScoreFile = Callable[..., Scores]
"""`score_file` with some options filled in: a translator's file, data and a split to scores."""


def evaluate(
    folder: str | os.PathLike[str],
    *,
    method: type[nn.Module] | None = None,
    data: str | None = None,
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
    """Score a run on held-out images; write scores.json and the report anew.

    The weights are those of the last step, unless `choose` asks for the best of the
    checkpoints that were kept, by KID on the validation images. `vgg16`, torchvision's
    weights of VGG-16, makes perceptual distances LPIPS and DISTS. Scores of
    other `data` than the run's are returned, and not written. `palette` says what the colours
    of label domains mean, as for training. With `fcn`, also the FCN score of labels → photos;
    with `adaptation`, how well segmenters of the target do that were trained on source
    images as they are, on translated ones, and on the target's own. Both train networks, in
    minutes, and keep those that know no translation. `method` is the class of a method from
    outside that this process has not used yet.

        scores = diptych.evaluate("runs/x")
        scores.directions["horse→zebra"]["kid"]["mean"]

    Raises:
        InputError: no run, or nothing to score it on.
    """
    folder = Path(folder)
    plan = read_plan(folder, method)
    settings = plan.run if data is None else replace(plan.run, data=data, x=None, y=None)
    settings = replace(settings, palette=tuple(palette) or settings.palette)
    opened = open_run_data(plan.method, settings, plan.config.size)
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
    if data is None and split == "test":
        scores = found.to_dict()
        atomic_write_text(folder / SCORES_FILE, json.dumps(scores, indent=1) + "\n")
        if found.features is not None:
            _remember(folder, opened)
        summarise(folder, notes=opened.notes, palettes=opened.palettes)
    return found


def evaluate_seeds(folders: Sequence[str | os.PathLike[str]], **options: Any) -> dict[str, Any]:
    """Score several runs of the same settings but other seeds, each as `evaluate` does.

    Returns their means with 95% t-intervals: see `evaluation.over_seeds`.

    Raises:
        InputError: fewer than two runs, or they differ in more than their seeds.
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
    """Every score that the translator at `path`, a run's folder or a file, and the data allow.

    `segmenter` gives the FCN score; with `fcn` in its place one is trained or found. With
    `adaptation_seed`, segmentation networks are trained from it on translations. `memory`
    is that of `evaluation.evaluate`.

    Raises:
        InputError: no translator, or data that it cannot be scored on.
    """
    method, info = load_translator(path)
    translator = Translator(method, info, device=device)
    if fcn or adaptation_seed is not None:
        translator.require_translation()
    if not translator.translates:
        make = translator.generate_batch
        return evaluate_generated(make, data, split, size=size, features=features, memory=memory)
    classifies = isinstance(method, Classifies) and bool(data.classes)
    if classifies and data.classes != info.classes:
        raise InputError(
            f"{data.source} has the classes {', '.join(data.classes)}, and {path} knows"
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
    """The scores of the run's best checkpoint on validation images, with a note that names it."""
    if split == "validation":
        chooses, on = option("choose", True), option("split", "test")
        raise InputError(f"{chooses} chooses on the validation images: score it on {on}")
    last = read_translator(folder / TRANSLATOR_FILE)[1].step
    kept = sorted((folder / SNAPSHOTS_FOLDER).glob("*.safetensors"))
    paths = {f"step {last:,}": folder}  # the last first: of equals, it is taken
    paths |= {f"step {int(p.stem):,}": p for p in kept if p.stem.isdigit() and int(p.stem) != last}
    if len(paths) == 1:
        raise InputError(
            f"{folder} kept no checkpoint to choose from: train with {option('keep_every')}"
        )
    choice = choosing.choose(
        {name: partial(score, path) for name, path in paths.items()}, data
    )  # by KID
    best = paths[choice.name]
    note = choice.note + ("" if best == folder else f": {best}")
    measured = score(best, data, split, **expensive)
    return replace(measured, notes=tuple(note if n == LAST_STEP else n for n in measured.notes))


def _remember(folder: Path, data: Data) -> None:
    """Write what training images look like, for warnings about inputs that look otherwise."""
    path, network = folder / familiarity.FAMILIARITY_FILE, installed()
    if network is None:
        return
    with contextlib.suppress(InputError):  # damaged: it is written anew
        known = familiarity.read_familiarity(path)
        if known is not None and known.fingerprint == data.fingerprint and known.parts:
            return
    familiarity.save_familiarity(path, familiarity.learn_familiarity(network, data))
