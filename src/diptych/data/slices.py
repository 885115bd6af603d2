"""Files that hold several images: volumes, stacks of pages, animations. Each image has a name.

The images of such a file are called by the file and their number, as in "scan.nii.gz#12". In a
domain where one of a few files holds several images, the headers of all of them are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from diptych.data import formats
from diptych.data.collections import evenly_spaced, file_and_image
from diptych.data.listing import Listing
from diptych.errors import InputError

PROBED = 64
"""Up to this many files of a domain are looked at for several images."""
_ONE_IMAGE = (".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2")


def of_images(listing: Listing) -> Listing:
    """Return the listing with a name for each image of its files."""
    several = [i for i, name in enumerate(listing.names) if _may_hold_several(name)]
    probed = (several[i] for i in evenly_spaced(len(several), PROBED)) if several else ()
    if all(_images(listing, listing.names[i]) == 1 for i in probed):
        return listing
    names: list[str] = []
    for name in listing.names:
        count = _images(listing, name) if _may_hold_several(name) else 1
        names += [name] if count == 1 else [f"{name}#{number}" for number in range(count)]
    return replace(listing, names=names)


def are_of_one_file(names: Iterable[str]) -> bool:
    """Return whether all names are of images of the same file of several."""
    places = [file_and_image(name) for name in names]
    return len(places) > 1 and len({file for file, _ in places}) == 1


def note(domain: str, files: int, images: int) -> str:
    """Return the line on a domain whose files hold several images."""
    hold = "1 file holds" if files == 1 else f"{files:,} files hold"
    return (
        f"{domain}: {hold} {images:,} images (slices, pages or frames), each of which is trained"
        " on as an image"
    )


def _may_hold_several(name: str) -> bool:
    is_image_of_one = file_and_image(name)[0] != name
    return not is_image_of_one and not name.lower().endswith(_ONE_IMAGE)


def _images(listing: Listing, name: str) -> int:
    try:
        return formats.header(listing.folder / name).images
    except InputError:  # training reports it
        return 1
