"""Put stills of films side by side, a row for each film; writes docs/images/films.png.

    puffer eval TASK --checkpoint RUN/checkpoint.pt --video FILM.mp4
    python tools/film_stills.py FILM.mp4... --out docs/images/films.png

A row begins with the first frame and ends with the last.
"""

import argparse
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image

STILLS, WIDTH, HEIGHT, GAP = 5, 200, 150, 4


def main() -> None:
    """Write the sheet of stills."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    size = STILLS * (WIDTH + GAP) - GAP, len(arguments.films) * (HEIGHT + GAP) - GAP
    sheet = Image.new("RGB", size, "white")
    for row, film in enumerate(arguments.films):
        for column, still in enumerate(stills(film)):
            still.thumbnail((WIDTH, HEIGHT))
            left = column * (WIDTH + GAP) + (WIDTH - still.width) // 2
            sheet.paste(still, (left, row * (HEIGHT + GAP) + (HEIGHT - still.height) // 2))
    sheet.save(arguments.out, optimize=True)


def stills(film: Path) -> list[Image.Image]:
    """Return frames of a film, evenly apart."""
    count, _ = imageio_ffmpeg.count_frames_and_secs(str(film))
    chosen = set(np.linspace(0, count - 1, STILLS).round().astype(int).tolist())
    frames = imageio_ffmpeg.read_frames(str(film))
    size = next(frames)["size"]
    return [
        Image.frombytes("RGB", size, frame) for index, frame in enumerate(frames) if index in chosen
    ]


if __name__ == "__main__":
    main()
