"""Frames into a video file: MP4 through a bundled ffmpeg, GIF through Pillow. Needs no display."""

import importlib.util
import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pufferlib.annotations import Rendered
from pufferlib.exceptions import ArgumentError, NotInstalledError

_Frame = NDArray[np.uint8]  # (height, width, 3)
_SUFFIXES = (".mp4", ".gif")
_LEAST_SIDE = 256  # smaller pictures are enlarged, pixel by pixel
_GIF_MOST_FPS = 50  # viewers slow down faster ones
_FONT_SIZES = 16, 48  # the largest between them that keeps a picture's width
_TEXT_WIDTH = 800
_LETTER_ASPECT = 0.602  # width over size of DejaVu Sans Mono
_BACKGROUND, _FOREGROUND = (16, 16, 24), (220, 220, 220)


def check_video(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is played.

    Raises:
        ArgumentError: the path ends in neither .mp4 nor .gif, or is a folder, or has no folder.
        NotInstalledError: an encoder is missing.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise ArgumentError(f"--video must end in {' or '.join(_SUFFIXES)}; got {path}.")
    if path.is_dir():
        raise ArgumentError(f"--video: {path} is a folder. Name a file.")
    if not path.parent.is_dir():
        raise ArgumentError(
            f"--video: there is no folder {path.parent}. Create it, or name another."
        )
    for package in ("imageio_ffmpeg", "matplotlib", "PIL"):
        if importlib.util.find_spec(package) is None:
            raise NotInstalledError(
                f"{package} is not installed. Run: puffer install video   (or: pip install "
                f'"pufferlib[video]")'
            )


def write_video(path: Path, rendered: Iterable[Rendered], fps: float) -> float:
    """Write frames of an environment's `render` into a video; return the frames per second.

    Args:
        path: ends in .mp4 or .gif.
        rendered: pictures (height, width[, 3]) uint8, or text; at least one.
        fps: frames per second; a GIF has at most 50, each shown for whole hundredths of a second.

    Raises:
        ArgumentError: a frame is something else, or frames differ in size.
    """
    frames = as_frames(rendered)
    first = next(frames)
    frames = _of_one_size(itertools.chain([first], frames), first.shape)
    if path.suffix.lower() == ".gif":
        return _write_gif(path, frames, fps)
    _write_mp4(path, frames, fps)
    return fps


def as_frames(rendered: Iterable[Rendered]) -> Iterator[_Frame]:
    """Yield pictures (height, width, 3) uint8 of even sides, as most video formats ask for."""
    letters: Letters | None = None
    for picture in rendered:
        if isinstance(picture, str):
            letters = letters or Letters(picture)
            yield _even(letters.draw(picture))
        else:
            yield _even(_enlarged(_as_rgb(picture)))


class Letters:
    """Draws text, each letter in its own cell, with ANSI colors.

    Args:
        text: the first that is to be drawn; its lines and columns are the picture's.
    """

    def __init__(self, text: str) -> None:
        import matplotlib
        from PIL import ImageFont

        lines = _plain(text).splitlines() or [""]
        self._rows, self._columns = len(lines), max(1, max(map(len, lines)))
        least, most = _FONT_SIZES
        size = min(most, max(least, int(_TEXT_WIDTH / self._columns / _LETTER_ASPECT)))
        path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSansMono.ttf")
        self._font = ImageFont.truetype(str(path), size)
        self._width = round(self._font.getlength("M"))
        self._height = sum(self._font.getmetrics())

    def draw(self, text: str) -> _Frame:
        """Return the picture of `text`; text beyond the size of the first text is cut off."""
        from PIL import Image, ImageDraw
        from rich.text import Text

        size = (self._columns * self._width, self._rows * self._height)
        image = Image.new("RGB", size, _BACKGROUND)
        canvas = ImageDraw.Draw(image)
        for row, line in enumerate(Text.from_ansi(text).split("\n", allow_blank=True)):
            if row >= self._rows:
                break
            for column, (letter, color, behind) in enumerate(_cells(line)):
                if column >= self._columns:
                    break
                x, y = column * self._width, row * self._height
                if behind is not None:
                    box = (x, y, x + self._width - 1, y + self._height - 1)
                    canvas.rectangle(box, fill=behind)
                canvas.text((x, y), letter, fill=color, font=self._font)
        return np.asarray(image, np.uint8)


def _cells(line: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield each letter of a rich line, its color and background, None for the defaults."""
    from rich.style import Style

    styles = [Style.null()] * len(line.plain)
    for span in line.spans:
        for index in range(span.start, min(span.end, len(styles))):
            styles[index] = styles[index] + span.style
    for letter, style in zip(line.plain, styles, strict=True):
        color, behind = (
            None if part is None or part.is_default else tuple(part.get_truecolor())
            for part in (style.color, style.bgcolor)
        )
        if style.reverse:
            color, behind = behind or _BACKGROUND, color or _FOREGROUND
        yield letter, color or _FOREGROUND, behind


def _plain(text: str) -> str:
    from rich.text import Text

    return Text.from_ansi(text).plain


def _as_rgb(picture: Rendered) -> _Frame:
    array = np.asarray(picture)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or array.dtype != np.uint8:
        raise ArgumentError(
            f"A frame must be text or uint8 (height, width, 3); render() returned "
            f"{type(picture).__name__} of shape {array.shape} and dtype {array.dtype}. This "
            f"environment cannot be filmed."
        )
    return array[..., :3]


def _enlarged(frame: _Frame) -> _Frame:
    factor = math.ceil(_LEAST_SIDE / min(frame.shape[:2]))
    return frame.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else frame


def _even(frame: _Frame) -> _Frame:
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _of_one_size(frames: Iterable[_Frame], shape: tuple[int, ...]) -> Iterator[_Frame]:
    for index, frame in enumerate(frames):
        if frame.shape != shape:
            raise ArgumentError(
                f"Frames must be of one size; frame {index} is {frame.shape[:2]}, the first "
                f"{shape[:2]}. This environment cannot be filmed."
            )
        yield frame


def _write_gif(path: Path, frames: Iterator[_Frame], fps: float) -> float:
    from PIL import Image

    hundredths = max(round(100 / fps), 100 // _GIF_MOST_FPS)
    images = (Image.fromarray(frame).quantize(256) for frame in frames)
    first = next(images)
    first.save(path, save_all=True, append_images=images, duration=10 * hundredths, loop=0)
    return 100 / hundredths


def _write_mp4(path: Path, frames: Iterator[_Frame], fps: float) -> None:
    import imageio_ffmpeg

    first = next(frames)
    height, width = first.shape[:2]
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=fps, codec="libx264", quality=7, macro_block_size=2
    )
    writer.send(None)  # starts ffmpeg
    try:
        for frame in itertools.chain([first], frames):
            writer.send(np.ascontiguousarray(frame))
    finally:
        writer.close()
