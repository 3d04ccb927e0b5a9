"""The channels of a picture, turned into those that are asked for.

====  ====  ===================================================================================
from  to    how
====  ====  ===================================================================================
n     n     unchanged
1     3     grey three times
3     1     Rec. 601 luma, (19595 R + 38470 G + 7471 B + 32768) // 65536: Pillow's mode "L"
4     3     laid on the background: (alpha C + (255 - alpha) B) / 255, rounded
4     1     as 4 to 3, then as 3 to 1
1, 3  4     with alpha 255
====  ====  ===================================================================================
"""

from __future__ import annotations

from typing import Literal

from PIL import Image as PillowImage

__all__ = ["with_channels"]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def with_channels(
    image: PillowImage.Image, wanted: int, background: Literal["white", "black"] = "white"
) -> PillowImage.Image:
    """Return an image of mode L, RGB or RGBA with ``wanted`` channels, by the table of this module."""
    if image.mode == "RGBA" and wanted != 4:
        canvas = PillowImage.new("RGB", image.size, background)
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    mode = _MODES[wanted]
    return image if image.mode == mode else image.convert(mode)
