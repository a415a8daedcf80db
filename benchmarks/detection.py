"""What the detector finds, and how fast: `python -m benchmarks.detection --data DIR`.

Frames are composed of celeba-wild's validation photos on which exactly one face is found; the face
is cut out with its surroundings, scaled, turned and pasted on a plain background. So the truth is
the composition, with the landmarks found on the unchanged photo, and a face that the detector
never finds is not in it: `facetwin evaluate` counts those.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from typing import Any, Final

import cv2
import numpy as np

from app.cli.output import print_table, progress_bar
from app.domain.entities import Face, Pixels
from app.inference.bundle import Bundle, load_active
from app.inference.decode import DecodeLimits, decode
from app.inference.detect import Detector
from app.inference.measure import head_pose
from app.settings import Settings
from app.training.datasets import CelebA, LabelledImage, Side
from benchmarks.report import publish, rounded
from benchmarks.scenes import Frame, Placed, Portrait, Scene

_SEED: Final = 4
_VGA: Final = (640, 480)
_FULL_HD: Final = (1920, 1080)
_FACE: Final = 100.0
_PROFILE_DEGREES: Final = 35.0
_NEAR: Final = 0.25
"""Mean distance of landmarks, in widths of the face, up to which a face counts as found."""

_TITLE: Final = (
    "Faces of 100 px in 640x480 where nothing else is said. Recall; false faces a frame; "
    "landmark error in eye distances, median; detection in ms, median"
)


def _dark(pixels: Pixels) -> Pixels:
    """A seventh of the light, with the noise of a sensor (sigma 3)."""
    noise = np.random.default_rng(_SEED).normal(0, 3, pixels.shape)
    return np.clip(pixels / 7 + noise, 0, 255).astype(np.uint8)


def _blurred(pixels: Pixels) -> Pixels:
    """A Gaussian of sigma 4 pixels, 4 % of the face's width."""
    return cv2.GaussianBlur(pixels, (0, 0), 4).astype(np.uint8, copy=False)


PROFILE: Final = "profile"
"""The scene that takes faces turned by at least 35 degrees, where all others take any."""

SCENES: Final[dict[str, Scene]] = {
    "one face": Scene(_VGA, _FACE),
    "4 faces of 80 px": Scene(_VGA, 80, faces=4),
    PROFILE: Scene(_VGA, _FACE),
    "turned by 30 degrees": Scene(_VGA, _FACE, degrees=30),
    "turned by -30 degrees": Scene(_VGA, _FACE, degrees=-30),
    "40 px in 1920x1080": Scene(_FULL_HD, 40),
    "30 px": Scene(_VGA, 30),
    "20 px": Scene(_VGA, 20),
    "dark": Scene(_VGA, _FACE, finish=_dark),
    "blurred": Scene(_VGA, _FACE, finish=_blurred),
}


@dataclass(frozen=True, slots=True)
class Result:
    """A scene's figures.

    Attributes:
        frames: How many were composed.
        recall: Share of the faces in them that were found.
        false_faces: Found faces that are none of them, for each frame.
        landmark_error: Median over the found faces of the mean distance of landmarks, in
            distances between the eyes.
        wall_ms: Median of a frame's detection.
        cpu_ms: The same in time of the processor.
    """

    frames: int
    recall: float
    false_faces: float
    landmark_error: float | None
    wall_ms: float
    cpu_ms: float

    def cells(self) -> tuple[str, ...]:
        """As a row for people."""
        error = "-" if self.landmark_error is None else f"{self.landmark_error:.3f}"
        return (
            str(self.frames),
            f"{self.recall:.1%}",
            f"{self.false_faces:.3f}",
            error,
            f"{self.wall_ms:.1f}",
            f"{self.cpu_ms:.1f}",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds celeba-wild")
    parser.add_argument("--frames", type=int, default=200, help="frames of each scene at most")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    bundle = load_active(Settings().model_dir)
    detector = _detector(bundle)
    images = _validation(options.data)
    portraits = _portraits(detector, images)
    results = _run(detector, portraits, options.frames)
    figures: dict[str, Any] = {"photos": len(images), "with_exactly_one_face": len(portraits)}
    if options.json:
        figures["scenes"] = {
            name: {field: getattr(r, field) for field in Result.__slots__}
            for name, r in results.items()
        }
    else:
        headers = ("scene", "frames", "recall", "false", "error", "wall", "CPU")
        rows = [(name, *result.cells()) for name, result in results.items()]
        print_table(headers, rows, title=_TITLE)
    publish("detection", figures, model=bundle.manifest.version, as_json=options.json)


def _detector(bundle: Bundle) -> Detector:
    cv2.setNumThreads(1)
    section = bundle.manifest.detector
    names = (section.proposal, section.refinement, section.output)
    proposal, refinement, output = (bundle.networks[name] for name in names)
    return Detector(proposal, refinement, output, section.settings())


def _validation(data: Path) -> list[LabelledImage]:
    wild = data / "celeba-wild"
    images = CelebA.read(data).side(Side.VALIDATION)
    return [image for image in images if image.path.is_relative_to(wild)]


def _portraits(detector: Detector, images: Sequence[LabelledImage]) -> list[Portrait]:
    portraits = []
    with progress_bar("Looking for portraits") as progress:
        for done, image in enumerate(images):
            pixels = decode(image.path.read_bytes(), DecodeLimits()).pixels
            faces = detector(pixels)
            if len(faces) == 1:
                portraits.append(Portrait(pixels, faces[0]))
            progress(done + 1, len(images))
    return portraits


def _run(detector: Detector, portraits: Sequence[Portrait], frames: int) -> dict[str, Result]:
    profiles = [p for p in portraits if abs(_yaw(p.face)) >= _PROFILE_DEGREES]
    results = {}
    with progress_bar("Scenes") as progress:
        for done, (name, scene) in enumerate(SCENES.items()):
            pool = profiles if name == PROFILE else portraits
            results[name] = _measure(detector, scene, pool, min(frames, len(pool)))
            progress(done + 1, len(SCENES))
    return results


def _yaw(face: Face) -> float:
    return head_pose(face.landmarks.as_array())[0]


def _measure(
    detector: Detector, scene: Scene, portraits: Sequence[Portrait], frames: int
) -> Result:
    rng = np.random.default_rng(_SEED)
    order = rng.permutation(len(portraits))
    found, errors, false_faces = 0, list[float](), 0
    wall, cpu = [], []
    for i in range(frames):
        chosen = [portraits[order[(i + k * frames) % len(order)]] for k in range(scene.faces)]
        frame = scene.compose(chosen, rng)
        started, spent = perf_counter(), thread_time()
        faces = detector(frame.pixels)
        cpu.append((thread_time() - spent) * 1000)
        wall.append((perf_counter() - started) * 1000)
        matched = _errors(frame, faces)
        found += len(matched)
        errors.extend(matched)
        false_faces += len(faces) - len(matched)
    return Result(
        frames,
        rounded(100 * found / (frames * scene.faces)) / 100,
        false_faces / frames,
        median(errors) if errors else None,
        rounded(median(wall)),
        rounded(median(cpu)),
    )


def _errors(frame: Frame, faces: Sequence[Face]) -> list[float]:
    """Landmark error of each placed face that was found; a found face counts once."""
    errors = []
    left = list(faces)
    for placed in frame.faces:
        nearest = min(left, key=lambda face: _distance(placed, face), default=None)
        if nearest is not None and _distance(placed, nearest) <= _NEAR * placed.width:
            left.remove(nearest)
            errors.append(_distance(placed, nearest) / max(placed.eye_distance, 1.0))
    return errors


def _distance(placed: Placed, face: Face) -> float:
    """Mean distance of landmarks, in pixels."""
    gap = placed.landmarks - face.landmarks.as_array()
    return float(np.linalg.norm(gap, axis=1).mean())


if __name__ == "__main__":
    main()
