"""The library's front door: train, load, evaluate."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from diptych.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL import Image

    from diptych.classifier import Classifier
    from diptych.data import Data
    from diptych.evaluation import Scores
    from diptych.evaluation.adaptation import Classify
    from diptych.networks.features import FeatureNetwork
    from diptych.training.run import Outcome
    from diptych.translator import Translator

    ScoreOne = Callable[..., Scores]


_MOST_OF_SLOW = 32
"""Images that are scored of methods that optimise when they translate."""


@dataclass(frozen=True)
class Run:
    """A run's folder."""

    folder: Path

    @property
    def report(self) -> Path:
        """The page with its pictures, curves, settings and scores."""
        return self.folder / "report.html"

    def translator(self, device: str = "auto") -> Translator:
        """What it has learnt, ready to use."""
        return load(self.folder, device=device)

    def evaluate(self, split: str = "test") -> dict[str, Any]:
        """See `diptych.evaluate`."""
        return evaluate(self.folder, split=split)


def train(method: str, *, overwrite: bool = False, **options: Any) -> Run:
    """Train `method` and return its run.

    `options` are the command line's: `data=`, `steps=`, `size=`, and the
    method's own (`cycle_weight=5.0`); `recipe=` and `preset=` set several.

        run = diptych.train("cyclegan", data="horse2zebra/", steps=20_000)

    Raises:
        InputError: an unknown option, or data that cannot be used.
    """
    from diptych.registry import dataclass_from, make_config
    from diptych.training.run import train as start
    from diptych.training.settings import SETTING_NAMES, Settings

    options = {k: str(v) if isinstance(v, os.PathLike) else v for k, v in options.items()}
    config, run = chosen(
        method, preset=options.pop("preset", None), recipe=options.pop("recipe", None)
    )
    for name, value in options.items():
        (run if name in SETTING_NAMES else config)[name] = value
    settings = dataclass_from(Settings, run, owner="train")
    return Run(start(method, make_config(method, config), settings, overwrite=overwrite).folder)


def resume(folder: str | os.PathLike[str]) -> Run:
    """Go on with an interrupted run; one that is done is returned as it is."""
    from diptych.training.run import resume as go_on

    return Run(go_on(Path(folder)).folder)


def chosen(
    method: str, *, preset: str | None = None, recipe: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a preset, and over it a recipe, set: the method's options and the run's.

    A preset sets the options that the method has; `PRESETS` in the method's file, by the
    preset's name, holds what has to be another value there.

    Raises:
        InputError: no such preset or recipe.
    """
    from diptych.registry import find_method, find_recipe
    from diptych.training.presets import PRESETS

    if preset is not None and preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; there are: {', '.join(PRESETS)}")
    sets = []
    if preset is not None:
        module = find_method(method)
        known = {field.name for field in fields(module.Config)}
        config = {name: v for name, v in PRESETS[preset].config.items() if name in known}
        own = vars(module).get("PRESETS", {}).get(preset, {})
        sets.append(replace(PRESETS[preset], config=config | own))
    sets += [find_recipe(method, recipe)] if recipe is not None else []
    return (
        {name: value for one in sets for name, value in one.config.items()},
        {name: value for one in sets for name, value in one.run.items()},
    )


def load(
    path: str | os.PathLike[str], *, styles: Sequence[Image.Image] = (), **options: Any
) -> Translator:
    """The translator of a run's folder or of a .safetensors file.

        zebra = diptych.load("runs/x")(image, to="zebra")

    Of a method that only makes new images, its `generate` works, and translating
    raises InputError.
    With `styles`, where the method can take a style from images, its one domain is theirs:

        painted = diptych.load("runs/x", styles=[starry])(image, to="style")

    `options` are those of `diptych.translator.load`: device, precision, memory_gib.

    Raises:
        InputError: missing, damaged, of another version, or a method that takes no styles.
    """
    from diptych.checkpoint import load_translator
    from diptych.styles import in_style_of
    from diptych.translator import Translator

    method, info = load_translator(path)
    if styles:
        method, info = in_style_of(method, info, styles)
    return Translator(method, info, **options)


def load_classifier(path: str | os.PathLike[str], *, device: str = "auto") -> Classifier:
    """The classifier of a run's folder or of a .safetensors file, where its method has one.

        digit = diptych.load_classifier("runs/x")(image, source="usps")

    Raises:
        InputError: missing, damaged, of another version, or no classifier.
    """
    from diptych.classifier import load_classifier as load_one

    return load_one(path, device=device)


def evaluate(
    folder: str | os.PathLike[str],
    *,
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
) -> dict[str, Any]:
    """Score a run on held-out images; write scores.json and the report anew.

    The weights are those of the last step, unless `choose` asks for the best of the
    checkpoints that were kept, by KID on the validation images. `vgg16`, torchvision's
    weights of VGG-16, makes perceptual distances LPIPS and DISTS. Scores of
    other `data` than the run's are returned, and not written. `palette` says what the colours
    of label domains mean, as for training. With `fcn`, also the FCN score of labels → photos;
    with `adaptation`, how well segmenters of the target do that were trained on source
    images as they are, on translated ones, and on the target's own. Both train networks, in
    minutes, and keep those that know no translation.

    Raises:
        InputError: no run, or nothing to score it on.
    """
    from diptych.files import atomic_write_text
    from diptych.networks.features import load_features
    from diptych.training.run import open_run_data
    from diptych.training.settings import read_plan
    from diptych.training.summary import SCORES_FILE, starts_note, summarise

    folder = Path(folder)
    plan = read_plan(folder)
    settings = plan.run if data is None else replace(plan.run, data=data, x=None, y=None)
    settings = replace(settings, palette=tuple(palette) or settings.palette)
    opened = open_run_data(plan.method, settings, plan.config.size)
    score = partial(
        _score,
        size=plan.config.size,
        features="auto" if features is None else load_features(features, weights),
        vgg16=None if vgg16 is None else load_features("vgg16", vgg16),
        fcn=fcn,
        adaptation_seed=plan.run.seed if adaptation else None,
        device=device,
    )
    found = (_score_best if choose else _score_last)(folder, opened, split, score)
    scores = replace(found, notes=(*found.notes, *starts_note(plan))).as_json()
    if data is None and split == "test":
        atomic_write_text(folder / SCORES_FILE, json.dumps(scores, indent=1) + "\n")
        if scores["features"] != "none":
            _remember(folder, opened)
        summarise(folder, notes=opened.notes, palettes=opened.palettes)
    return scores


def evaluate_seeds(folders: Sequence[str | os.PathLike[str]], **options: Any) -> dict[str, Any]:
    """Score several runs of the same settings but other seeds, each as `evaluate` does.

    Returns their means with 95% t-intervals: see `evaluation.over_seeds`.

    Raises:
        InputError: fewer than two runs, or they differ in more than their seeds.
    """
    from diptych.evaluation import over_seeds
    from diptych.training.settings import check_seeds, read_plan

    paths = list(dict.fromkeys(Path(folder) for folder in folders))
    if len(paths) < 2:
        raise InputError(f"an interval over seeds takes two runs or more, not {len(paths)}")
    check_seeds({str(path): read_plan(path) for path in paths})
    return over_seeds({str(path): evaluate(path, **options) for path in paths})


def _score(
    path: Path,
    data: Data,
    split: str,
    *,
    size: int,
    features: FeatureNetwork | Literal["auto"],
    vgg16: FeatureNetwork | None,
    fcn: bool,
    adaptation_seed: int | None,
    device: str,
) -> Scores:
    """Of the translator at `path`, a run's folder or a file."""
    from diptych.checkpoint import load_translator
    from diptych.classifier import Classifier
    from diptych.translator import Translator
    from diptych.types import Classifies

    method, info = load_translator(path)
    translator = Translator(method, info, device=device)
    classifies = isinstance(method, Classifies) and bool(data.classes)
    if classifies and data.classes != info.classes:
        raise InputError(
            f"{data.source} has the classes {', '.join(data.classes)}, and {path} knows"
            f" {', '.join(info.classes) or 'none'}: give data with the same class folders"
        )
    return _measure(
        translator,
        data,
        split,
        size=size,
        features=features,
        vgg16=vgg16,
        classify=Classifier(method, info, device=device).classify_batch if classifies else None,
        fcn=fcn,
        adaptation_seed=adaptation_seed,
    )


def _score_last(folder: Path, data: Data, split: str, score: ScoreOne) -> Scores:
    return score(folder, data, split)


def _score_best(folder: Path, data: Data, split: str, score: ScoreOne) -> Scores:
    """Of the checkpoint of the run that is best on validation images, and which it is."""
    from diptych.checkpoint import read_translator
    from diptych.evaluation.choosing import choose
    from diptych.evaluation.scores import LAST_STEP
    from diptych.training.sitting import SNAPSHOTS_FOLDER

    if split == "validation":
        raise InputError("--choose chooses on the validation images: score it on --split test")
    last = read_translator(folder)[1].step
    kept = sorted((folder / SNAPSHOTS_FOLDER).glob("*.safetensors"))
    paths = {f"step {last:,}": folder}  # the last first: of equals, it is taken
    paths |= {f"step {int(p.stem):,}": p for p in kept if p.stem.isdigit() and int(p.stem) != last}
    if len(paths) == 1:
        raise InputError(
            f"{folder} kept no checkpoint to choose from: train with --keep-every STEPS"
        )
    plainly = partial(score, fcn=False, adaptation_seed=None)  # KID chooses
    choice = choose({name: partial(plainly, path) for name, path in paths.items()}, data)
    best = paths[choice.name]
    note = choice.note + ("" if best == folder else f": {best}")
    measured = score(best, data, split)
    return replace(measured, notes=tuple(note if n == LAST_STEP else n for n in measured.notes))


def _remember(folder: Path, data: Data) -> None:
    """Write what training images look like, for warnings about inputs that look otherwise."""
    from diptych.evaluation import familiarity
    from diptych.evaluation.scores import installed

    path, network = folder / familiarity.FAMILIARITY_FILE, installed()
    if network is None:
        return
    with contextlib.suppress(InputError):  # damaged: it is written anew
        known = familiarity.read_familiarity(path)
        if known is not None and known.fingerprint == data.fingerprint and known.parts:
            return
    familiarity.save_familiarity(path, familiarity.learn_familiarity(network, data))


def _measure(
    translator: Translator,
    data: Data,
    split: str,
    *,
    size: int,
    features: FeatureNetwork | Literal["auto"],
    vgg16: FeatureNetwork | None,
    classify: Classify | None,
    fcn: bool,
    adaptation_seed: int | None,
) -> Scores:
    """Of its translations, or of its new images where it makes those alone."""
    from diptych.evaluation import evaluate as score
    from diptych.evaluation import evaluate_generated
    from diptych.evaluation.scores import choose_split
    from diptych.evaluation.segmentation import check_segmentation, segmenter_for
    from diptych.evaluation.segmentation_adaptation import (
        ADAPTATION_NOTE,
        adaptation_scores,
        check_adaptation,
    )

    if fcn or adaptation_seed is not None:
        translator.require_translation()
    if not translator.translates:
        make = translator.generate_batch
        return evaluate_generated(make, data, split, size=size, features=features)
    held_out, device = choose_split(data, split), str(translator.device)
    if fcn:
        check_segmentation(data, held_out)
    if adaptation_seed is not None:
        check_adaptation(data, held_out)
    scores = score(
        translator.translate_batch,
        data,
        split,
        size=size,
        features=features,
        vgg16=vgg16,
        most=_MOST_OF_SLOW if translator.is_slow else None,
        classify=classify,
        segmenter=segmenter_for(data, size=size, device=device) if fcn else None,
    )
    if adaptation_seed is None:
        return scores
    translate = translator.translate_batch
    adapted = adaptation_scores(
        translate, data, held_out, size=size, seed=adaptation_seed, device=device
    )
    return replace(
        scores,
        domains={**scores.domains, **adapted},
        notes=(*scores.notes, ADAPTATION_NOTE),
    )


def outcome_line(outcome: Outcome) -> str:
    """How a run stands, and how to go on."""
    if outcome.was_finished:
        return f"{outcome.folder} is finished: {outcome.step:,} of {outcome.steps:,} steps are done"
    if not outcome.is_finished:
        saved = " and saved" if outcome.step else ""  # before the first step there is only the plan
        return (
            f"stopped{saved} at step {outcome.step:,} of {outcome.steps:,}; go on with:"
            f" diptych train --resume {outcome.folder}"
        )
    return f"trained {outcome.steps:,} steps: {outcome.folder}"
