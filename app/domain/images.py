"""Which files count as photos in a folder. What is inside them is checked when they are decoded."""

from typing import Final

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})

FOREIGN_SUFFIXES: Final = frozenset(
    {".heic", ".heif", ".avif", ".tif", ".tiff", ".gif", ".jxl", ".jp2", ".dng", ".cr2", ".nef"}
)
"""Photos of kinds that are not read: whoever puts one there is told so."""
