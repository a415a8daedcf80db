"""Verifications a second with eight clients: `python -m benchmarks.throughput`."""

from benchmarks.clients import verify_many
from benchmarks.report import arguments, publish, rounded
from benchmarks.server import gallery, running

CLIENTS = 8
WARM_UP = 40


def main() -> None:
    options = arguments(__doc__, requests=400)
    with gallery(options.references) as folder, running(folder) as server:
        verify_many(server.port, clients=CLIENTS, requests=WARM_UP)
        run = verify_many(server.port, clients=CLIENTS, requests=options.requests)
        model = server.get("/version")["model"]["version"]
    figures = {
        "references": options.references,
        "requests": options.requests,
        "clients": CLIENTS,
        "verifications_per_second": rounded(run.per_second),
        "p50_ms": rounded(run.percentile(50)),
        "p95_ms": rounded(run.percentile(95)),
    }
    publish("throughput", figures, model=model, as_json=options.json)


if __name__ == "__main__":
    main()
