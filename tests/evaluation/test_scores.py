import io
import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from diptych.data import Data, Palette, Split
from diptych.data.collections import ArrayImages
from diptych.errors import InputError
from diptych.evaluation import evaluate, scores_table
from diptych.evaluation.scores import Memory
from diptych.networks.features import FeatureNetwork

RED, BLUE = (255, 0, 0), (0, 0, 255)
PALETTE = Palette(("warm", "cold"), (RED, BLUE))


class _Mean(nn.Module):
    """Stands for a feature network: the mean colour, cheap and exact."""

    name = "efficientnet-lite0"  # whose layers' names perceptual distances go by
    num_features = 3
    resizing = "none"

    def maps(self, images: Tensor, layers: Sequence[str], *, is_resized: bool) -> dict[str, Tensor]:
        return dict.fromkeys(layers, (images + 1) / 2)

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


def _features() -> FeatureNetwork:
    return _Mean()  # type: ignore[return-value]


def _flat(colours: list[tuple[int, int, int]], size: int = 32) -> ArrayImages:
    pixels = np.array(colours, dtype=np.uint8)[:, None, None, :]
    return ArrayImages(np.broadcast_to(pixels, (len(colours), size, size, 3)).copy())


def _data(*, is_paired: bool = True) -> Data:
    labels = _flat([RED, BLUE] * 5)
    photos = _flat([(200, 50, 50), (50, 50, 200)] * 5)
    split = Split((labels, photos), (labels, photos) if is_paired else None)
    palettes = {"label": PALETTE}
    return Data("test", ("label", "photo"), split, test=split, palettes=palettes, is_tiled=True)


def _to_label(image: Tensor, to: str) -> Tensor:
    """Right for photos; leaves what is asked to become a photo as it is."""
    if to == "photo":
        return image
    is_red = image[:, :1] > image[:, 2:]
    red, blue = (torch.tensor(c).reshape(1, 3, 1, 1) / 127.5 - 1 for c in (RED, BLUE))
    return torch.where(is_red, red, blue)


def test_a_perfect_label_translator_scores_one_and_the_identity_its_distance() -> None:
    scores = evaluate(_to_label, _data(), size=32, features=_features()).to_dict()
    to_label, to_photo = scores["photo→label"], scores["label→photo"]
    assert to_label["pixel_accuracy"] == to_label["class_accuracy"] == to_label["mean_iou"] == 1.0
    assert to_label["within_16"] == 1.0
    assert to_label["l1"] == pytest.approx(0.0, abs=1e-6)
    assert to_label["accuracy_per_class"] == {"warm": 1.0, "cold": 1.0}
    # Untouched labels against photos: channels off by 55, 50 and 50 of 255.
    assert to_photo["l1"] == pytest.approx((55 + 50 + 50) / 3 / 255)
    assert to_photo["within_16"] == 0.0
    assert "pixel_accuracy" not in to_photo
    # photo → label → photo returns the label's colours; label → photo → label the label itself.
    assert to_label["cycle"] == pytest.approx((55 + 50 + 50) / 3 / 255)
    assert to_photo["cycle"] == pytest.approx(0.0, abs=1e-6)
    assert to_label["images"] == 10


def test_what_untranslated_inputs_score_stands_beside_translations() -> None:
    scores = evaluate(_to_label, _data(), size=32, features=None).to_dict()
    photos, labels = (scores[name]["untranslated"] for name in ("photo→label", "label→photo"))
    # Labels against photos, or photos against labels: channels off by 55, 50 and 50 of 255.
    assert photos["l1"] == labels["l1"] == pytest.approx((55 + 50 + 50) / 3 / 255)
    assert photos["within_16"] == 0.0
    # Reddish photos are nearest to red as they are, bluish ones to blue.
    assert photos["pixel_accuracy"] == photos["class_accuracy"] == photos["mean_iou"] == 1.0
    assert "pixel_accuracy" not in labels
    assert "confusion" not in photos
    identity = evaluate(lambda x, to: x, _data(), size=32, features=None).to_dict()["photo→label"]
    untouched = identity["untranslated"]
    assert {name: identity[name] for name in untouched} == untouched


def test_kid_compares_translations_inputs_and_training_images_with_the_real_ones() -> None:
    scores = evaluate(_to_label, _data(), size=32, features=_features()).to_dict()
    kid = scores["photo→label"]
    # Perfect translations are the real labels themselves, as the training images are here.
    assert kid["kid"]["mean"] == pytest.approx(kid["kid_of_real"]["mean"])
    assert kid["kid_untranslated"]["mean"] > kid["kid"]["mean"]
    assert scores["features"] == "efficientnet-lite0"
    assert scores["resizing"] == "none"


def test_features_of_real_images_are_remembered_and_the_scores_are_the_same() -> None:
    seen: list[int] = []

    class Counting(_Mean):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(len(images))
            return super().forward(images)

    memory: Memory = {}
    fresh, first, again = (
        evaluate(_to_label, _data(), size=32, features=Counting(), memory=m).to_dict()  # type: ignore[arg-type]
        for m in (None, memory, memory)
    )
    assert fresh == first == again
    # Of each of two domains 10 real, 10 training and 10 translated images; then the last alone.
    assert seen == [10] * (6 + 6 + 2)


def test_unpaired_images_get_no_paired_scores() -> None:
    scores = evaluate(_to_label, _data(is_paired=False), size=32, features=None).to_dict()
    always = {"images", "collapse", "spread", "cycle", "unchanged", "brightness"}
    assert set(scores["photo→label"]) == always
    assert scores["features"] == "none"


def test_a_batch_of_broken_images_is_left_out_and_a_missing_split_is_named() -> None:
    class Broken(ArrayImages):
        def read(self, index: int):  # type: ignore[no-untyped-def]
            if index < 16:
                raise InputError(f"image {index} is broken")
            return super().read(index)

    pixels = np.zeros((20, 32, 32, 3), dtype=np.uint8)
    images = Broken(pixels)
    split = Split((images, images))
    data = Data("test", ("a", "b"), split, test=split, is_tiled=True)
    scores = evaluate(lambda image, to: image, data, size=32, features=None).to_dict()
    assert scores["a→b"]["images"] == 4
    with pytest.raises(InputError, match="no validation images; it has: train, test"):
        evaluate(lambda image, to: image, data, "validation", size=32, features=None)


def test_scores_are_json_and_the_table_shows_every_one_of_them() -> None:
    scores = json.loads(
        json.dumps(evaluate(_to_label, _data(), size=32, features=_features()).to_dict())
    )
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(scores_table(scores))
    text = " ".join(console.export_text().split())
    for words in (
        "photo→label", "per-pixel accuracy", "KID", "mean class IoU", "100 subsets of 5", "recall",
        "unchanged, features", "structure and texture", "resized by none",
        "FID", "of the inputs, untranslated │ – │ 1.000",
    ):  # fmt: skip
        assert words in text


def test_of_a_slow_translator_some_images_are_scored_evenly_spread() -> None:
    seen: list[Tensor] = []

    def translate(image: Tensor, to: str) -> Tensor:
        if to == "label":
            seen.append(image)
        return _to_label(image, to)

    scores = evaluate(translate, _data(), size=32, features=None, most=4).to_dict()
    assert scores["photo→label"]["images"] == 4
    assert scores["photo→label"]["pixel_accuracy"] == 1.0
    assert "at most 4 images of a direction were translated, evenly spread" in scores["notes"]
    # Of red, blue, red, ... the 2nd, 4th, 7th and 9th.
    reds = (torch.cat(seen)[-4:, 0, 0, 0] > 0).tolist()
    assert reds == [False, False, True, True]


def test_perceptual_scores_of_the_truth_itself_are_nought_and_unchanged_is_the_truths() -> None:
    scores = evaluate(_to_label, _data(), size=32, features=_features()).to_dict()
    right, kept = scores["photo→label"], scores["label→photo"]
    assert right["perceptual"] == pytest.approx(0.0, abs=1e-5)
    assert right["structure_texture"] == pytest.approx(0.0, abs=1e-4)
    assert right["unchanged"] == pytest.approx(right["unchanged_of_truth"])
    assert kept["unchanged"] == kept["unchanged_features"] == 1.0
    assert kept["perceptual"] > 0
    assert any("without learnt weights" in note for note in scores["notes"])
