"""Images of any size and kind through translators with untrained networks."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from diptych.checkpoint import TranslatorInfo, inference_weights, save_translator
from diptych.data.images import to_tensor
from diptych.errors import InputError
from diptych.inference.load import load
from diptych.inference.translator import Translator
from diptych.methods.cyclegan import Config, CycleGAN
from diptych.methods.stargan import Config as StarGANConfig
from diptych.methods.stargan import StarGAN
from diptych.methods.unit import UNIT
from diptych.methods.unit import Config as UNITConfig


def info(method: str = "cyclegan", size: int = 64) -> TranslatorInfo:
    return TranslatorInfo(
        method=method,
        config={},
        domains=("horse", "zebra"),
        size=size,
        step=0,
        fingerprint="",
        source="",
        version="",
    )


def cyclegan(width: int = 8, blocks: int = 9, **options) -> Translator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = CycleGAN(Config(width=width, size=64, blocks=blocks))
    return Translator(method, info(), device="cpu", **options)


class Noisy(nn.Module):
    """Adds the draws of its generator."""

    inference_modules = ()
    exportable = True
    size_multiple = 1
    fixed_size: int | None = None

    def translate(self, image: Tensor, to: tuple[int, ...], rng=None) -> Tensor:
        return (0.5 * image + 0.1 * torch.randn(image.shape, generator=rng)).clamp(-1, 1)


class Fixed(Noisy):
    """Negates 32x32 images and takes no others."""

    fixed_size = 32

    def translate(self, image: Tensor, to: tuple[int, ...], rng=None) -> Tensor:
        assert image.shape[2:] == (32, 32)
        return -image


def photo(width: int, height: int) -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg")).resize((width, height))


def difference(a: Image.Image, b: Image.Image) -> float:
    return float(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).mean())


@pytest.fixture(scope="module")
def translator() -> Translator:
    return cyclegan(blocks=2)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 50), (50, 1), (2, 3), (3, 2), (7, 7), (17, 30), (64, 64), (65, 63)]
)
def test_result_has_the_input_size(translator, size):
    result = translator(photo(*size), to="zebra")
    assert (result.size, result.mode) == (size, "RGB")


def test_a_batch_is_its_images_one_by_one(translator):
    images = torch.rand(5, 3, 30, 41, generator=torch.Generator().manual_seed(0)) * 2 - 1
    batch = translator.translate_batch(images, "zebra")
    assert batch.shape == images.shape
    assert batch.abs().max() <= 1
    assert not batch.requires_grad
    for image, result in zip(images, batch, strict=True):
        alone = translator.translate_batch(image[None], "zebra")[0]
        torch.testing.assert_close(result, alone, rtol=0, atol=1e-5)


def test_wrong_shapes_are_refused(translator):
    with pytest.raises(ValueError, match=r"expected \(B, 3, H, W\) images, got \(1, 4, 8, 8\)"):
        translator.translate_batch(torch.zeros(1, 4, 8, 8), "zebra")


def test_alpha_is_kept_and_does_not_change_the_colours(translator):
    opaque = photo(40, 30)
    alpha = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40), np.uint8))
    image = opaque.copy()
    image.putalpha(alpha)
    result = translator(image, to="zebra")
    assert result.mode == "RGBA"
    assert np.array_equal(result.getchannel("A"), alpha)
    assert np.array_equal(result.convert("RGB"), translator(opaque, to="zebra"))
    assert image.mode == "RGBA"


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "I;16"])
def test_other_modes_become_rgb(translator, mode):
    result = translator(photo(40, 30).convert("L").convert(mode), to="zebra")
    assert (result.size, result.mode) == ((40, 30), "RGB")


def test_exif_orientation_is_applied(translator):
    upright = photo(40, 30)
    sideways = upright.transpose(Image.Transpose.ROTATE_90)
    sideways.getexif()[0x0112] = 6
    assert np.array_equal(translator(sideways, to="zebra"), translator(upright, to="zebra"))


def test_unknown_domains_are_refused_by_name(translator):
    with pytest.raises(InputError) as caught:
        translator(photo(8, 8), to="lion")
    assert str(caught.value) == "no domain 'lion': this translator knows horse, zebra"
    with pytest.raises(InputError, match="no domain 'lion'"):
        translator(photo(8, 8), to="zebra", source="lion")
    with pytest.raises(InputError, match="both 'zebra'"):
        translator(photo(8, 8), to="zebra", source="zebra")


def test_several_domains_at_once_only_where_they_are_attributes(translator):
    with pytest.raises(InputError, match="one domain at a time, not to horse and zebra: name one"):
        translator(photo(8, 8), to=["horse", "zebra"])
    with pytest.raises(InputError, match="one domain at a time, not to none"):
        translator(photo(8, 8), to=())
    assert translator.targets(["zebra"]) == translator.targets("zebra") == (1,)
    torch.manual_seed(0)
    method = StarGAN(StarGANConfig(width=2, size=16), channels=(3,) * 3)
    about = replace(info("stargan"), domains=("Blond", "Male", "Young"), has_attributes=True)
    faces = Translator(method, about, device="cpu")
    assert faces.targets(["Young", "Blond"]) == (0, 2)
    assert faces.targets(()) == ()
    image = to_tensor(photo(16, 16))[None]
    with torch.no_grad():
        expected = method.translate(image, (0, 2))
    assert torch.equal(faces.translate_batch(image, ("Young", "Blond")), expected)
    with pytest.raises(InputError, match="no domain 'Old'"):
        faces.targets(["Young", "Old"])
    # Trained on folders, the same method knows of no image in two domains.
    folders = Translator(method, replace(about, has_attributes=False), device="cpu")
    with pytest.raises(InputError, match="one domain at a time"):
        folders.targets(["Young", "Blond"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_gib": 0.0}, "memory of 0.0 GiB"),
        ({"memory_gib": float("nan")}, "memory of nan GiB"),
        ({"precision": "fp8"}, "no precision 'fp8': expected fp32 or bf16"),
    ],
)
def test_unusable_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        cyclegan(blocks=1, **options)


def test_unknown_devices_and_translations_of_methods_that_have_none_are_refused():
    with pytest.raises(InputError, match="no device 'abacus' here"):
        Translator(Noisy(), info(), device="abacus")
    makes = Translator(nn.Identity(), info("gan"), device="cpu")
    message = "^gan makes new images and translates none: use generate$"
    with pytest.raises(InputError, match=message):
        makes(Image.new("RGB", (8, 8)), to="zebra")
    with pytest.raises(InputError, match=message):
        makes.translate_batch(torch.zeros(1, 3, 8, 8), "zebra")
    with pytest.raises(InputError, match=message):
        Translator(nn.Identity(), info("gan"), device="cpu", draws=True)


def test_a_drawing_method_repeats_itself_by_seed_and_not_by_batch():
    translator = Translator(Noisy(), info(), device="cpu")
    images = torch.zeros(3, 3, 16, 16)
    batch = translator.translate_batch(images, "zebra", seed=1)
    assert torch.equal(batch[0], batch[1])
    assert torch.equal(batch[0], batch[2])
    assert torch.equal(batch, translator.translate_batch(images, "zebra", seed=1))
    assert not torch.equal(batch, translator.translate_batch(images, "zebra", seed=2))


def test_bf16_is_close_to_fp32():
    image = photo(64, 48)
    exact = cyclegan(blocks=2)(image, to="zebra")
    assert 0 < difference(cyclegan(blocks=2, precision="bf16")(image, to="zebra"), exact) < 4


def test_a_saved_translator_translates_as_the_method_did(tmp_path):
    config = Config(width=4, size=64, blocks=1)
    method = CycleGAN(config).eval()
    header = replace(info(), config=asdict(config))
    save_translator(tmp_path / "translator.safetensors", inference_weights(method), header)
    image = photo(50, 40)
    expected = Translator(method, header, device="cpu")(image, to="zebra")
    for path in (tmp_path, tmp_path / "translator.safetensors"):
        loaded = load(path, device="cpu", memory_gib=1.0)
        assert (loaded.domains, loaded.size) == (("horse", "zebra"), 64)
        assert np.array_equal(loaded(image, to="zebra"), expected)
    with pytest.raises(InputError, match="absent"):
        load(tmp_path / "absent")


class Brightens(Fixed):
    """Leaves an image as it is; a draw of it is brighter by what the generator draws."""

    fixed_size = None

    def translate(self, image: Tensor, to: tuple[int, ...], rng=None) -> Tensor:
        return image

    def draw(self, image: Tensor, to: tuple[int, ...], rng: torch.Generator) -> Tensor:
        return (image + torch.rand((), generator=rng)).clamp(-1, 1)


def test_draws_are_drawn_by_the_seed_and_only_where_they_are_asked_for():
    image = photo(20, 16)
    plain = Translator(Brightens(), info(), device="cpu")
    assert plain.has_draws
    assert difference(plain(image, to="zebra", seed=1), image) == 0.0
    drawing = Translator(Brightens(), info(), device="cpu", draws=True)
    first = drawing(image, to="zebra", seed=1)
    assert difference(first, image) > 1.0
    assert difference(first, drawing(image, to="zebra", seed=1)) == 0.0
    assert difference(first, drawing(image, to="zebra", seed=2)) > 1.0


def test_a_method_that_draws_anyway_has_draws_and_one_that_does_not_has_none():
    assert Translator(Noisy(), info(), device="cpu", draws=True).has_draws
    with pytest.raises(InputError, match="translates an image in one way: it has no draws"):
        Translator(Fixed(), info(), device="cpu", draws=True)


def test_draws_of_tiles_are_refused_since_they_would_not_match():
    drawing = Translator(Brightens(), info(), device="cpu", draws=True, memory_gib=1e-6)
    with pytest.raises(InputError, match="draws of tiles would not match: raise memory_gib to"):
        drawing(photo(400, 300), to="zebra")


def unit() -> Translator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = UNIT(UNITConfig(width=2, size=32))
        for p in method.parameters():
            nn.init.normal_(p, 0.0, 0.1)  # N(0, 0.02) answers too weakly for 256 levels
    return Translator(method, info(), device="cpu")


def test_a_code_decodes_to_the_translation_and_to_the_reconstruction():
    translator, image = unit(), photo(40, 24)
    z = translator.encode(image, source="horse")
    assert z.shape == (1, 8, 6, 10)
    assert difference(translator.decode(z, to="zebra"), translator(image, to="zebra")) == 0.0
    assert difference(translator.decode(z, to="horse"), translator.decode(z, to="zebra")) > 0.1


def test_generated_images_are_of_the_runs_size_and_of_the_seed():
    translator = unit()
    first = translator.generate(2, to="zebra", seed=1)
    assert [image.size for image in first] == [(32, 32), (32, 32)]
    assert difference(first[0], first[1]) > 0.1
    again = translator.generate(3, to="zebra", seed=1)
    assert [difference(a, b) for a, b in zip(first, again, strict=False)] == [0.0, 0.0]


def test_new_images_are_counted_from_one_and_their_domain_named_where_there_are_two():
    assert len(unit().generate(to="zebra")) == 1
    with pytest.raises(InputError, match="a count of 0 images: it must be at least 1"):
        unit().generate(0, "zebra")
    with pytest.raises(InputError, match="which domain"):
        unit().generate(2)


def test_several_images_have_codes_in_a_batch():
    translator = unit()
    images = [photo(40, 24), photo(24, 40).resize((40, 24))]
    codes = translator.encode(images, "horse")
    assert codes.shape == (2, 8, 6, 10)
    alone = translator.encode(np.asarray(images[1]), "horse")
    torch.testing.assert_close(codes[1:], alone, rtol=0, atol=1e-4)


def test_what_a_method_has_not_is_named(translator):
    with pytest.raises(InputError, match="cyclegan has no codes"):
        translator.encode(photo(20, 20), source="horse")
    with pytest.raises(InputError, match="cyclegan makes no images from noise"):
        translator.generate(1, to="zebra")
    with pytest.raises(InputError, match="no domain 'cow'"):
        unit().generate(1, to="cow")


# --- from a notebook ---------------------------------------------------------------


def test_the_target_may_be_left_out_where_there_is_one_choice(translator):
    image = photo(20, 16)
    expected = translator(image, to="zebra")
    assert np.array_equal(translator(image, "zebra"), expected)
    assert np.array_equal(translator(image, source="horse"), expected)
    assert np.array_equal(translator.translate(image, source="horse").image, expected)
    with pytest.raises(InputError, match=r"which domain\? Give to='horse' or to='zebra'"):
        translator(image)
    with pytest.raises(InputError, match="no domain 'Horse': did you mean 'horse'"):
        translator(image, source="Horse")
    with pytest.raises(InputError, match="no domain 1: this translator knows horse, zebra"):
        translator(image, to=1)
    one = Translator(Noisy(), replace(info("noisy"), domains=("style",)), device="cpu")
    assert np.array_equal(one(image), one(image, to="style"))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (cyclegan(blocks=1), "Translator(cyclegan, horse ↔ zebra, 64 px, cpu)"),
        (
            cyclegan(blocks=1, precision="bf16"),
            "Translator(cyclegan, horse ↔ zebra, 64 px, cpu, bf16)",
        ),
        (
            Translator(nn.Identity(), info("gan", 16), device=torch.device("cpu")),
            "Translator(gan, horse, zebra, 16 px, cpu)",
        ),
    ],
)
def test_repr_says_what_it_is(made, expected):
    assert repr(made) == expected


def test_copies_and_pickles_give_the_same_bits(translator):
    image = photo(37, 30)
    expected = translator(image, to="zebra")
    for again in (pickle.loads(pickle.dumps(translator)), copy.deepcopy(translator)):  # noqa: S301
        assert repr(again) == repr(translator)
        assert np.array_equal(again(image, to="zebra"), expected)
        with torch.no_grad():
            next(again._network.parameters()).zero_()
    assert np.array_equal(translator(image, to="zebra"), expected)
    small = pickle.loads(pickle.dumps(cyclegan(blocks=1, memory_gib=0.003)))  # noqa: S301
    tiled = small.translate(photo(200, 100), to="zebra")
    assert tiled.tiles > 1
    whole = cyclegan(blocks=1, memory_gib=0.003).translate(photo(200, 100), to="zebra")
    assert np.array_equal(tiled.image, whole.image)


@pytest.mark.slow
def test_spawned_processes_use_a_translator(translator):
    images = [np.asarray(photo(20, 16)), np.asarray(photo(16, 20))]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        results = pool.map(partial(translator, to="zebra"), images)
    for result, image in zip(results, images, strict=True):
        assert np.abs(result.astype(int) - translator(image, to="zebra")).max() <= 1
