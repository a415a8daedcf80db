"""Peak memory of the serving process under eight clients: `python -m benchmarks.memory`."""

from benchmarks.clients import verify_many
from benchmarks.report import arguments, publish, rounded
from benchmarks.server import gallery, running

CLIENTS = 8


def main() -> None:
    options = arguments(__doc__, requests=200)
    with gallery(options.references) as folder, running(folder) as server:
        ready = server.peak_rss_mib()
        verify_many(server.port, clients=CLIENTS, requests=options.requests)
        loaded = server.peak_rss_mib()
        model = server.get("/version")["model"]["version"]
    figures = {
        "references": options.references,
        "requests": options.requests,
        "clients": CLIENTS,
        "peak_rss_mib_ready": rounded(ready),
        "peak_rss_mib": rounded(loaded),
        "peak_rss_bytes": round(loaded * 1024 * 1024),
    }
    publish("memory", figures, model=model, as_json=options.json)


if __name__ == "__main__":
    main()
