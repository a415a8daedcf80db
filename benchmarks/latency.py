"""Latency of /verify over HTTP with one client and with eight: `python -m benchmarks.latency`."""

from benchmarks.clients import verify_many
from benchmarks.report import arguments, publish, rounded
from benchmarks.server import gallery, running

WARM_UP = 20


def main() -> None:
    options = arguments(__doc__, requests=200)
    figures: dict[str, float] = {"references": options.references, "requests": options.requests}
    with gallery(options.references) as folder, running(folder) as server:
        verify_many(server.port, clients=1, requests=WARM_UP)
        for clients in (1, 8):
            run = verify_many(server.port, clients=clients, requests=options.requests)
            figures[f"p50_ms_{clients}_clients"] = rounded(run.percentile(50))
            figures[f"p95_ms_{clients}_clients"] = rounded(run.percentile(95))
        model = server.get("/version")["model"]["version"]
    publish("latency", figures, model=model, as_json=options.json)


if __name__ == "__main__":
    main()
