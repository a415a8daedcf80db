"""Which files count as photos in a folder. What is inside them is checked when they are decoded."""

from typing import Final

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
