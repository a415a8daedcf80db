"""Time from starting the process to ready: `python -m benchmarks.startup`."""

from statistics import median

from benchmarks.report import arguments, publish, rounded
from benchmarks.server import gallery, running


def main() -> None:
    options = arguments(__doc__, requests=5)
    with gallery(options.references) as folder:
        with running(folder) as server:
            first = server.seconds_to_ready
            model = server.get("/version")["model"]["version"]
        warm = []
        for _ in range(options.requests):
            with running(folder) as server:
                warm.append(server.seconds_to_ready)
    figures = {
        "references": options.references,
        "restarts": options.requests,
        "seconds_first_start": rounded(first),
        "seconds_to_ready_p50": rounded(median(warm)),
        "seconds_to_ready_worst": rounded(max(warm)),
    }
    publish("startup", figures, model=model, as_json=options.json)


if __name__ == "__main__":
    main()
