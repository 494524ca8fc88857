"""Write frames as a small animated picture that a page shows without a player."""

import io
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageOps

MOST_BYTES = 250_000
MOST_FRAMES = 150
_MOST_WIDTH = 480  # of pictures; text keeps its size
_LEAST_WIDTH, _MARGIN = 240, 8  # of text, around its letters
_SHORTEST_S, _LONGEST_S, _LONGEST_FRAME_S = 3.0, 12.0, 0.4
_LAST_FRAME_S = 1.5  # before it starts again
_QUALITIES = (None, 80, 60, 40, 20)  # of WebP; None: lossless


def write_animation(
    path: Path, frames: Iterable[NDArray[np.uint8]], fps: float, is_text: bool = False
) -> Image.Image:
    """Write frames into a WebP of at most `MOST_BYTES`; return the frame at two thirds.

    Long episodes are shown faster and with fewer frames, short ones more slowly. What is still too
    large loses every second frame, and then half of its width.

    Args:
        path: ends in .webp.
        frames: (height, width, 3) uint8, of one size.
        fps: frames per second, as the environment names it.
        is_text: the frames show text: their empty margins are cut, not their size.

    Raises:
        ValueError: it is too large even so.
    """
    images, stride = thinned(frames, is_text)
    if is_text:
        images = _cropped(images)
    seconds = min(max(stride * len(images) / fps, _SHORTEST_S), _LONGEST_S)
    frame_ms = 1000 * min(seconds / len(images), _LONGEST_FRAME_S)
    half = images[::2]
    quarter = [ImageOps.scale(image, 0.5) for image in half]
    for images_now, ms in ((images, frame_ms), (half, 2 * frame_ms), (quarter, 2 * frame_ms)):
        durations = [round(ms)] * (len(images_now) - 1) + [round(1000 * _LAST_FRAME_S)]
        for quality in _QUALITIES:
            if _is_far_too_large(images_now, quality):
                continue
            data = _webp(images_now, durations, quality)
            if len(data) <= MOST_BYTES:
                path.write_bytes(data)
                return images_now[len(images_now) * 2 // 3]
    raise ValueError(
        f"{path} would have more than {MOST_BYTES:,} bytes, even with half of its {len(images)} "
        f"frames at half their width. Film fewer steps, or smaller frames."
    )


def thinned(
    frames: Iterable[NDArray[np.uint8]], is_text: bool = False
) -> tuple[list[Image.Image], int]:
    """Return every n-th frame, at most 150 of them and not too wide, and n."""
    kept: list[Image.Image] = []
    stride = 1
    for index, frame in enumerate(frames):
        if index % stride == 0:
            kept.append(_narrowed(Image.fromarray(frame), is_text))
            if len(kept) > MOST_FRAMES:
                kept, stride = kept[::2], 2 * stride
    return kept, stride


def _narrowed(image: Image.Image, is_text: bool) -> Image.Image:
    if is_text or image.width <= _MOST_WIDTH:
        return image
    return image.resize((_MOST_WIDTH, math.ceil(image.height * _MOST_WIDTH / image.width)))


def _cropped(images: list[Image.Image]) -> list[Image.Image]:
    """Cut margins that are empty in all frames; enlarge what is left, if it is small."""
    color = images[0].getpixel((0, 0))
    background = Image.new("RGB", images[0].size, color)
    boxes = [ImageChops.difference(image, background).getbbox() for image in images]
    ends = list(zip(*(box for box in boxes if box), strict=True))
    if not ends:
        return images
    box = (min(ends[0]), min(ends[1]), max(ends[2]), max(ends[3]))
    factor = max(1, _LEAST_WIDTH // (box[2] - box[0] + 2 * _MARGIN))
    framed = [ImageOps.expand(image.crop(box), _MARGIN, color) for image in images]
    return [ImageOps.scale(image, factor) for image in framed]


def _is_far_too_large(images: list[Image.Image], quality: int | None) -> bool:
    """Return what a tenth of the frames says; to encode them all takes long."""
    tenth = images[::10]
    return len(_webp(tenth, [1] * len(tenth), quality)) > MOST_BYTES / 2


def _webp(images: list[Image.Image], durations: list[int], quality: int | None) -> bytes:
    """Return an animated WebP that repeats forever."""
    # Of lossless pictures the quality is the effort.
    options = {"lossless": True, "quality": 30} if quality is None else {"quality": quality}
    first, *others = images
    file = io.BytesIO()
    first.save(
        file, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, **options
    )
    return file.getvalue()
