"""What every request passes on its way in, from the outside to the routes."""

from ipaddress import ip_network
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.api.access import API_KEY_HEADER, AccessMiddleware
from app.api.body_limit import BodyLimitMiddleware
from app.api.error_net import ErrorNetMiddleware
from app.api.lifecycle import DrainMiddleware, Lifecycle
from app.api.request_context import REQUEST_ID_HEADER, RequestContextMiddleware
from app.api.security_headers import SecurityHeadersMiddleware
from app.api.time_limit import TimeLimitMiddleware
from app.settings import Settings

_METHODS: Final = ("GET", "POST", "DELETE")


def install_middleware(app: FastAPI, settings: Settings) -> Lifecycle:
    """Put the middleware around the routes; the server drains the service by what is returned."""
    lifecycle = Lifecycle()
    # The last one added is the outermost.
    app.add_middleware(BodyLimitMiddleware, settings=settings)
    app.add_middleware(AccessMiddleware, settings=settings)
    app.add_middleware(TimeLimitMiddleware, settings=settings)
    app.add_middleware(DrainMiddleware, lifecycle=lifecycle)
    app.add_middleware(ErrorNetMiddleware)
    # Outside the net, so that a page can read refusals too.
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=_METHODS,
            allow_headers=("Authorization", "Content-Type", API_KEY_HEADER, REQUEST_ID_HEADER),
            expose_headers=("Retry-After", REQUEST_ID_HEADER),
        )
    app.add_middleware(SecurityHeadersMiddleware)
    if settings.trusted_proxies:
        networks = [str(ip_network(proxy, strict=False)) for proxy in settings.trusted_proxies]
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=networks)
    app.add_middleware(RequestContextMiddleware)
    return lifecycle
