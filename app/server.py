"""The HTTP server process."""

import uvicorn

from app.main import create_app
from app.runtime import Runtime


def serve(runtime: Runtime) -> None:
    """Serve an opened runtime until the process is told to stop, then close it.

    Raises:
        SystemExit: If the address can't be bound; the log says why.
    """
    settings = runtime.settings
    uvicorn.run(
        create_app(settings, open=lambda _settings: runtime),
        host=settings.host,
        port=settings.port,
        lifespan="on",
        # Logs go through app.logs alone.
        log_config=None,
        access_log=False,
        server_header=False,
        # Forwarded headers are believed from nobody.
        proxy_headers=False,
    )
