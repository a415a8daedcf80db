"""Parts that the reports of all evaluations share."""

from pathlib import Path
from typing import Final

import numpy as np
from pydantic import BaseModel

from app.domain.errors import ImageTooLargeError, InvalidImageError, UnsupportedMediaTypeError
from app.domain.ports import FacePipeline
from app.training.embedding_set import EmbeddingSet

_INVALID: Final = frozenset(
    error.code for error in (InvalidImageError, ImageTooLargeError, UnsupportedMediaTypeError)
)


class ModelSection(BaseModel):
    """The bundle that was measured."""

    version: str
    fingerprint: str

    @classmethod
    def of(cls, pipeline: FacePipeline) -> "ModelSection":
        """The bundle at work in `pipeline`."""
        return cls(version=pipeline.version, fingerprint=pipeline.fingerprint)


class FailureSection(BaseModel):
    """Photos that could not be used; each is an error in every genuine pair it is in.

    Attributes:
        images: All photos.
        invalid: Files that can't be read or are no image that the service accepts.
        not_found: Images in which no face was found, or several under the face policy `single`.
        inconclusive: Images with a face that a quality gate refuses, by reason; one can have
            several.
    """

    images: int
    invalid: list[str]
    not_found: int
    inconclusive: dict[str, int]

    @classmethod
    def of(cls, photos: EmbeddingSet, root: Path) -> "FailureSection":
        """Count the failures; files are named relative to `root`."""
        broken = np.array([bool(_INVALID & set(codes)) for codes in photos.reasons], np.bool_)
        blocked = [
            code
            for found, codes in zip(photos.found, photos.reasons, strict=True)
            if found
            for code in codes
        ]
        return cls(
            images=len(photos.images),
            invalid=[
                photos.images[row].path.relative_to(root).as_posix()
                for row in np.flatnonzero(broken)
            ],
            not_found=int(np.count_nonzero(~photos.found & ~broken)),
            inconclusive={code: blocked.count(code) for code in sorted(set(blocked))},
        )

    def rows(self) -> list[tuple[str, str]]:
        """Measure and value, for a table."""
        inconclusive = ", ".join(f"{code} {n}" for code, n in self.inconclusive.items())
        return [
            ("photos", str(self.images)),
            ("invalid images", str(len(self.invalid))),
            ("faces not found", f"{self.not_found} of {self.images}"),
            ("inconclusive", inconclusive or "0"),
        ]
