"""The images' HEALTHCHECK: exits with 0 if the service answers /healthz with 200.

Runs every few seconds for as long as the container does, so it imports next to nothing.
"""

import os
import socket
import sys

ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SECONDS = 1.5


def is_healthy(host: str, port: int) -> bool:
    """Ask the service once."""
    try:
        with socket.create_connection((host, port), timeout=SECONDS) as connection:
            connection.sendall(REQUEST)
            status = connection.makefile("rb").readline(64)
    except OSError:
        return False
    return status.startswith(b"HTTP/1.1 200 ")


def main() -> int:
    """Ask where the settings say that the service listens."""
    host = os.environ.get("FACETWIN_HOST", "")
    port = int(os.environ.get("FACETWIN_PORT") or 8000)
    return 0 if is_healthy(ANY_ADDRESS.get(host, host), port) else 1


if __name__ == "__main__":
    sys.exit(main())
