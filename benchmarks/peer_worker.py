"""The package `face_recognition` at work, a photo a line, for `python -m benchmarks.peers`.

Runs by its path in the peer's own environment, so it imports nothing of this project. A line of
standard input is `{"path": ...}`; the answer is one line of JSON. The first line out says who
works.
"""

import io
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

Answer = dict[str, Any]


class Laps:
    """Wall and CPU milliseconds of the steps of one photo."""

    def __init__(self) -> None:
        self.wall_ms: dict[str, float] = {}
        self.cpu_ms: dict[str, float] = {}
        self._last = (time.perf_counter(), time.process_time())

    def lap(self, step: str) -> None:
        """End a step; the next begins."""
        now = (time.perf_counter(), time.process_time())
        self.wall_ms[step] = (now[0] - self._last[0]) * 1000
        self.cpu_ms[step] = (now[1] - self._last[1]) * 1000
        self._last = now


def serve(about: Answer, analyze: Callable[[bytes], Answer]) -> None:
    """Answer every line of standard input; time runs from the file's bytes to the embedding.

    Args:
        about: Who works, and in which version.
        analyze: A file to `embedding` or to the `reason` why there is none, with the times of the
            steps as `wall_ms` and `cpu_ms`.
    """
    _send(about)
    for line in sys.stdin:
        data = Path(json.loads(line)["path"]).read_bytes()
        laps = Laps()
        answer = analyze(data)
        laps.lap("total")
        for clock, total in (("wall_ms", laps.wall_ms), ("cpu_ms", laps.cpu_ms)):
            answer[clock] = {**answer.get(clock, {}), **total}
        _send(answer)


def central(boxes: Sequence[Sequence[int]], width: int, height: int) -> int:
    """Index of the box (top, right, bottom, left) whose centre is nearest to the photo's."""

    def offset(index: int) -> float:
        top, right, bottom, left = boxes[index]
        return float((left + right - width) ** 2 + (top + bottom - height) ** 2)

    return min(range(len(boxes)), key=offset)


def _send(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    # pkg_resources announces its own end on every import.
    warnings.simplefilter("ignore")
    # By name, because the project's own environment, where types are checked, has neither.
    try:
        peer, dlib = import_module("face_recognition"), import_module("dlib")
    except ImportError as error:
        sys.exit(f"{sys.executable} can't import the peer: {error}")

    def analyze(data: bytes) -> Answer:
        laps = Laps()
        try:
            pixels = peer.load_image_file(io.BytesIO(data))
        except OSError as error:
            return {"reason": f"unreadable: {error}"}
        laps.lap("decode")
        boxes = peer.face_locations(pixels)
        laps.lap("detect")
        times = {"wall_ms": laps.wall_ms, "cpu_ms": laps.cpu_ms}
        if not boxes:
            return {"reason": "no_face", **times}
        chosen = boxes[central(boxes, pixels.shape[1], pixels.shape[0])]
        embedding = peer.face_encodings(pixels, known_face_locations=[chosen])[0]
        laps.lap("embed")
        return {"embedding": embedding.tolist(), **times}

    serve(
        {
            "name": "face_recognition",
            "version": f"{version('face_recognition')}-dlib-{dlib.__version__}",
            "build": {
                "avx": bool(dlib.USE_AVX_INSTRUCTIONS),
                "blas": bool(dlib.DLIB_USE_BLAS),
                "cuda": bool(dlib.DLIB_USE_CUDA),
            },
        },
        analyze,
    )


if __name__ == "__main__":
    main()
