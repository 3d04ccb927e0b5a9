"""Every kind of pixels that a decoder gives, turned into grey, RGB or RGBA with 8 bits.

======================  =====================================================================================
kind                    becomes
======================  =====================================================================================
1, 2, 4, 8-bit grey     grey
16-bit                  the upper byte of each value: scaled, not clipped
palette                 RGB; RGBA where the palette has transparent entries
one transparent colour  RGBA
grey with alpha         RGBA
CMYK, YCCK              RGB: by the file's ICC profile, else (1 - C)(1 - K) and so on
ICC profile             of RGB and CMYK: converted to sRGB, with perceptual intent; one that is sRGB up to 2 of 255,
                        is damaged, or belongs to other pixels changes nothing, nor does any of grey pictures
EXIF orientation        applied; a damaged EXIF block is passed over
======================  =====================================================================================

Gamma and chromaticities of a PNG file without a profile are not looked at: values are taken to be sRGB.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import ExifTags, ImageCms
from PIL import Image as PillowImage

from ...core.errors import MediaError

__all__ = ["plain", "upright"]

_SPACES = {"RGB": "RGB ", "RGBA": "RGB ", "CMYK": "CMYK"}
_NEAR = 2  # of 255: rounding of the tables in profiles
_METHODS = PillowImage.Transpose
_TURNS = {
    2: _METHODS.FLIP_LEFT_RIGHT,
    3: _METHODS.ROTATE_180,
    4: _METHODS.FLIP_TOP_BOTTOM,
    5: _METHODS.TRANSPOSE,
    6: _METHODS.ROTATE_270,
    7: _METHODS.TRANSVERSE,
    8: _METHODS.ROTATE_90,
}


def plain(image: PillowImage.Image, profile: bytes = b"") -> PillowImage.Image:
    """Return a decoded image as mode L, RGB or RGBA, by the table of this module.

    Args:
        image: as Pillow decoded it.
        profile: the ICC profile of the file, or nothing.

    Raises:
        MediaError: the pixels are of a kind that the table does not know.
    """
    if image.mode == "I;16":
        image = _upper(image)
    elif image.mode == "1":
        image = image.convert("RGBA" if "transparency" in image.info else "L")
    elif image.mode in ("P", "L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode == "P":
        image = image.convert("RGB")
    elif image.mode == "LA":
        image = image.convert("RGBA")
    transform = _transform(profile, image.mode) if profile and image.mode in _SPACES else None
    if transform is not None:
        return transform.apply(image)
    if image.mode == "CMYK":
        return image.convert("RGB")
    if image.mode not in ("L", "RGB", "RGBA"):
        raise MediaError(f"{image.mode} pixels given; grey, RGB, RGBA, palette or CMYK wanted; convert the file first")
    return image


def upright(image: PillowImage.Image, exif: bytes) -> PillowImage.Image:
    """Return an image turned as its EXIF block says."""
    try:
        block = PillowImage.Exif()
        block.load(exif)
        turn = _TURNS.get(block.get(ExifTags.Base.Orientation, 1))
    except Exception:  # the block may be anything; without it the picture stands as it is
        return image
    return image if turn is None else image.transpose(turn)


def _upper(image: PillowImage.Image) -> PillowImage.Image:
    """Return 16-bit grey as L, or RGBA where one value is transparent."""
    values = np.array(image, dtype=np.uint16)
    grey = PillowImage.fromarray((values >> 8).astype(np.uint8))
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey
    coloured = grey.convert("RGBA")
    coloured.putalpha(PillowImage.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return coloured


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what brings pixels of a profile to sRGB; None where that would change nothing, or cannot be done."""
    output = "RGB" if mode == "CMYK" else mode
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if given.profile.xcolor_space != _SPACES[mode]:
            return None
        wanted = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(given, wanted, mode, output, ImageCms.Intent.PERCEPTUAL)
        if mode == "CMYK":
            return transform
        colours = np.stack(np.meshgrid(*[np.arange(0, 256, 51, dtype=np.uint8)] * 3), -1).reshape(-1, 6, 3)
        probe = PillowImage.fromarray(colours).convert(mode)
        changed = np.abs(np.asarray(transform.apply(probe), np.int16) - np.asarray(probe, np.int16)).max()
    except Exception:  # a profile may be anything, and Pillow may be built without what reads it
        return None
    return transform if changed > _NEAR else None
