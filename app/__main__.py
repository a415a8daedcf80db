"""The command `facetwin`, also `python -m app`.

The rest of the command is imported here, where a start of the service can be stopped already.
"""

import sys
from contextlib import nullcontext

from app.signals import stoppable_start


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    with stoppable_start() if sys.argv[1:2] == ["serve"] else nullcontext():
        from app import cli  # noqa: PLC0415 - takes a second, in which a stop must count

        cli.main()


if __name__ == "__main__":
    main()
