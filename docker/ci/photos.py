"""Make photos for a tiny training job: `photos.py FOLDER`.

Of the repository's two portraits, bent and lit in many ways: one stands for the owner, the other
for other people, a file each. A network that learns from these is good for nothing; that all parts
of a job work together is what they show. Runs with the checkout behind the application on the path.
"""

import sys
from pathlib import Path
from typing import Final

from tests.training.data.folders import moved, portrait, put, shaded

OWNER: Final = {"anchor": 8, "positive": 8}
"""Photos of the owner by folder; a job wants 10 distinct ones."""
OTHERS: Final = 26
"""Other people; a job wants 20."""


def main() -> None:
    """Fill the folder that is named."""
    root, seed = Path(sys.argv[1]), 0
    for role, count in OWNER.items():
        for _ in range(count):
            seed += 1
            put(root / role, f"{seed}.jpg", shaded(moved(portrait("astronaut"), seed), seed))
    for _ in range(OTHERS):
        seed += 1
        put(root / "negative", f"{seed}.jpg", shaded(moved(portrait("hopper"), seed), seed))


if __name__ == "__main__":
    main()
