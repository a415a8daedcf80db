"""Coverage-guided fuzzing of the parsers: `python -m benchmarks.fuzz_parsers -max_total_time=600`.

Needs `pip install atheris` (extra `fuzz`). Options are those of libFuzzer; without a folder of its
own it begins with the files of `benchmarks.fuzz_seeds`. Any error but those that say something
about a photo ends the run and leaves the file behind as `crash-...`.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["app.inference"]):
    from app.inference.chunks import png_for_decoder
    from app.inference.decode import DecodeLimits, decode
    from app.inference.exif import orientation
    from app.inference.image_header import read_header

from app.domain.errors import ImageTooLargeError, InvalidImageError, UnsupportedMediaTypeError
from benchmarks.fuzz_seeds import seeds

LIMITS: Final = DecodeLimits(max_pixels=200_000)
_REFUSED: Final = (ImageTooLargeError, InvalidImageError, UnsupportedMediaTypeError)
_SIDE: Final = 64


def run(data: bytes) -> None:
    """One input through all parsers."""
    assert 1 <= orientation(data) <= 8
    try:
        header = read_header(data)
        photo = decode(data, LIMITS, _SIDE)
    except _REFUSED:
        return
    assert header.width * header.height <= LIMITS.max_pixels
    assert sorted((photo.width, photo.height)) == sorted((header.width, header.height))
    assert max(photo.pixels.shape[:2]) <= _SIDE
    if header.format == "png":
        again = decode(png_for_decoder(data), LIMITS, _SIDE)
        assert (again.pixels == photo.pixels).all()


def main() -> None:
    arguments = list(sys.argv)
    with tempfile.TemporaryDirectory(prefix="facetwin-corpus-") as folder:
        if not any(Path(argument).is_dir() for argument in arguments[1:]):
            for number, data in enumerate(seeds()):
                Path(folder, str(number)).write_bytes(data)
            arguments.append(folder)
        atheris.Setup(arguments, run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
