"""Images of every kind through one door, and back as the same kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo
from diptych.data.images import to_tensor
from diptych.data.pixels import RGB8
from diptych.data.raster import Raster
from diptych.errors import InputError
from diptych.inference.kinds import take, take_picture, take_tensor
from diptych.inference.translator import Translator


class Negative(nn.Module):
    """Negates images, and counts how many come at once."""

    inference_modules = ()
    exportable = True
    size_multiple = 1
    fixed_size = None

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def translate(self, image: Tensor, to: tuple[int, ...], rng=None) -> Tensor:
        self.counts.append(len(image))
        return -image


def negative(**options: float) -> Translator:
    info = TranslatorInfo(
        method="negative",
        config={},
        domains=("a", "b"),
        size=16,
        step=0,
        fingerprint="",
        source="",
        version="",
    )
    return Translator(Negative(), info, device="cpu", **options)


@pytest.fixture(scope="module")
def translator() -> Translator:
    return negative()


def levels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


# --- the same kind comes back ----------------------------------------------------


def test_a_path_gives_what_its_decoded_image_gives(translator, tmp_path: Path):
    pixels = levels(18, 20, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = translator(Image.open(tmp_path / "a.png"), to="b")
    for path in (tmp_path / "a.png", str(tmp_path / "a.png")):
        made = translator(path, to="b")
        assert isinstance(made, Image.Image)
        assert (made.mode, made.size) == ("RGBA", (20, 18))
        assert np.array_equal(made, expected)
    assert np.array_equal(np.asarray(expected)[..., :3], 255 - pixels[..., :3])
    assert np.array_equal(np.asarray(expected)[..., 3], pixels[..., 3])


def test_a_colour_profile_stays_with_a_pil_image(translator):
    image = Image.fromarray(levels(8, 8, 3))
    image.info["icc_profile"] = bytes(16) + b"RGB " + bytes(108)
    assert translator(image, to="b").info["icc_profile"] == image.info["icc_profile"]
    assert "icc_profile" not in translator(Image.fromarray(levels(8, 8, 3)), to="b").info


@pytest.mark.parametrize("shape", [(18, 20, 3), (18, 20, 4), (2, 18, 20, 3), (3, 18, 20, 4)])
def test_a_uint8_array_gives_one_of_its_shape_and_what_pil_gives(translator, shape):
    pixels = levels(*shape)
    before = pixels.copy()
    made = translator(pixels, to="b")
    assert (made.dtype, made.shape) == (np.uint8, shape)
    assert np.array_equal(made[..., :3], 255 - pixels[..., :3])
    assert np.array_equal(made[..., 3:], pixels[..., 3:])
    assert np.array_equal(pixels, before)
    if len(shape) == 3:
        assert np.array_equal(made, translator(Image.fromarray(pixels), to="b"))
    made[0] = 0  # writable


@pytest.mark.parametrize("shape", [(18, 20), (18, 20, 1), (2, 18, 20, 1)])
def test_grey_arrays_become_rgb(translator, shape):
    pixels = levels(*shape)
    made = translator(pixels, to="b")
    grey = pixels if shape[-1] == 1 else pixels[..., None]
    assert np.array_equal(made, np.broadcast_to(255 - grey, (*grey.shape[:-1], 3)))


def test_views_of_arrays_are_taken_as_they_look(translator):
    pixels = levels(20, 18, 3)
    for view in (pixels[::-1, ::2], pixels.transpose(1, 0, 2)):
        assert np.array_equal(translator(view, to="b"), 255 - view)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_from_0_to_1_give_the_same_without_rounding_to_levels(translator, dtype):
    values = np.random.default_rng(0).random((2, 6, 5, 4)).astype(dtype)
    made = translator(values, to="b")
    assert (made.dtype, made.shape) == (dtype, values.shape)
    tolerance = 1e-3 if dtype == np.float16 else 1e-6
    np.testing.assert_allclose(made[..., :3], 1 - values[..., :3], atol=tolerance)
    assert np.array_equal(made[..., 3], values[..., 3])
    grey = translator(values[0, ..., 0], to="b")
    np.testing.assert_allclose(grey, np.repeat(1 - values[0, ..., :1], 3, -1), atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 6, 5), (2, 3, 6, 5)])
def test_a_tensor_gives_one_of_its_shape_dtype_and_device(translator, dtype, shape):
    values = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(dtype)
    made = translator(values.requires_grad_(), to="b")
    assert (made.dtype, made.shape, made.device) == (dtype, shape, values.device)
    assert not made.requires_grad
    assert torch.equal(made, -values.detach().float().to(dtype))


def test_a_list_gives_a_list_of_the_kinds_that_are_in_it(translator, tmp_path: Path):
    Image.fromarray(levels(9, 7, 3, seed=1)).save(tmp_path / "a.png")
    given = [Image.fromarray(levels(9, 7, 3)), tmp_path / "a.png", levels(2, 4, 4, 3),
             torch.zeros(2, 3, 9, 7)]  # fmt: skip
    made = translator(given, to="b")
    assert [type(one) for one in made] == [Image.Image, Image.Image, np.ndarray, Tensor]
    for one, alone in zip(made, given, strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(translator(alone, to="b")))
    assert [one.size for one in translator(tuple(given[:2]), to="b")] == [(7, 9), (7, 9)]


def test_neighbours_of_one_size_go_through_together():
    translator = negative()
    images = [Image.fromarray(levels(8, 8, 3, seed=i)) for i in range(3)]
    translator(images, to="b")  # which measures what one needs
    counts = translator._method.counts
    counts.clear()
    translator([*images, Image.fromarray(levels(8, 9, 3)), images[0]], to="b")
    assert counts == [3, 1, 1]


def test_images_too_large_for_the_memory_come_back_as_their_kind_too(monkeypatch):
    translator = negative(memory_gib=0.0005)
    pixels = levels(200, 100, 3)
    assert not translator.fits(200, 100)
    assert translator.translate(Image.fromarray(pixels), to="b").tiles > 1
    made = translator([pixels, to_tensor(Image.fromarray(pixels)), pixels / 255], to="b")
    assert np.array_equal(made[0], 255 - pixels)
    assert torch.equal(made[1], to_tensor(Image.fromarray(255 - pixels)))
    np.testing.assert_allclose(made[2], 1 - pixels / 255, atol=1e-6)


# --- anything else is refused ----------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "^None is no image; expected a PIL image, a path, a NumPy array"),
        (b"photo.jpg", "^an object of type bytes is no image; expected"),
        (5, "^an object of type int is no image"),
        ((x for x in "ab"), "type generator is no image: put the images into a list; expected"),
        ([], "^an empty list holds no image; expected"),
        (["no.png"], r"^images\[0\]: no such file: no.png$"),
        ([levels(4, 4, 3), None], r"^images\[1\]: None is no image"),
        ([[levels(4, 4, 3)]], r"^images\[0\] is a list inside a list: give one list of images"),
        ("no.png", "^no such file: no.png$"),
        (levels(4, 4, 2), r"^an array of shape \(4, 4, 2\) is no image: expected \(H, W, 3\)"),
        (levels(3, 8, 8), r"^an array of shape \(3, 8, 8\) is no image"),
        (levels(4), r"^an array of shape \(4,\) is no image"),
        (levels(0, 4, 3), r"^an array of shape \(0, 4, 3\) is no image"),
        (levels(4, 4, 3).astype(np.int64), "^an array of int64 is no image: expected uint8 from"),
        (levels(4, 4, 3) > 9, "^an array of bool is no image"),
        (np.array([None]), "^an array of object is no image"),
        (
            levels(4, 4, 3).astype(np.float32),
            r"^an array of floats has values from \d+ to \d+: expected 0 to 1; x / 255 brings 0 to",
        ),
        (np.full((4, 4, 3), -0.5), "has values from -0.5 to -0.5: expected 0 to 1; rescale or"),
        (np.full((4, 4, 3), np.nan), "has values from nan to nan: expected 0 to 1"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), r"^a tensor of torch.uint8 .* x / 127.5 - 1$"),
        (torch.zeros(3, 4, 4, dtype=torch.int32), "of torch.int32 is no image: expected floats"),
        (
            torch.zeros(4, 4, 3),
            r"^a tensor of shape \(4, 4, 3\) is no image: .*; x.movedim\(-1, -3\) puts channels",
        ),
        (torch.zeros(1, 8, 8), r"^a tensor of shape \(1, 8, 8\) is no image: expected \(3, H, W\)"),
        (torch.zeros(0, 3, 8, 8), r"^a tensor of shape \(0, 3, 8, 8\) is no image"),
        (torch.zeros(()), r"^a tensor of shape \(\) is no image"),
        (torch.full((3, 4, 4), 200.0), "from 200 to 200: expected -1 to 1; x / 127.5 - 1 brings"),
        (torch.full((3, 4, 4), torch.inf), "from inf to inf: expected -1 to 1"),
    ],
)
def test_what_is_no_image_is_named_in_one_line(translator, given, message):
    with pytest.raises(InputError, match=message) as caught:
        translator(given, to="b")
    assert "\n" not in str(caught.value)


def test_rounding_past_the_range_by_less_than_a_level_is_taken():
    assert len(take(torch.full((3, 4, 4), 1.003)).images) == 1
    with pytest.raises(InputError, match=r"from 1.005 to 1.005"):
        take(torch.full((3, 4, 4), 1.005))


def test_what_is_transparent_is_white_where_that_is_asked_for():
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, :, 3] = 255
    for given in (pixels, Image.fromarray(pixels), pixels / 255):
        shown = take_tensor(given, over_white=True)[0]
        assert shown[0, :, 0].unique().tolist() == [-1.0]
        assert shown[0, :, 1].unique().tolist() == [1.0]
        assert take_tensor(given)[0].unique().tolist() == [-1.0]


def test_several_images_at_once_are_of_one_size():
    images, is_one = take_tensor([levels(4, 5, 3), torch.zeros(2, 3, 4, 5)])
    assert (images.shape, is_one) == ((3, 3, 4, 5), False)
    assert take_tensor(levels(4, 5, 3))[1]
    with pytest.raises(InputError, match="images of 5x4 and 5x6 pixels together"):
        take_tensor([levels(4, 5, 3), levels(6, 5, 3)])


def test_a_translation_is_of_one_picture(translator):
    raster = Raster.from_array(levels(4, 5, 3))
    assert take_picture(raster).restore([levels(4, 5, 3)], RGB8).mode == "RGB"
    assert translator.translate(Image.fromarray(levels(4, 5, 4)), to="b").image.mode == "RGBA"
    with pytest.raises(InputError, match="takes a PIL image or a path, not ndarray: call the"):
        translator.translate(levels(4, 5, 3), to="b")
