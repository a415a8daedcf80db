"""The comparison with the peer as tables for people."""

from app.cli.output import print_table
from app.training.evaluation.rates import percent
from app.training.metrics import Interval
from benchmarks.peer_celeba import CelebaFigures, CelebaSide
from benchmarks.peer_lfw import Accuracy, LfwFigures, LfwSide
from benchmarks.peer_speed import SpeedFigures, Speedup, Step


def print_speed(figures: dict[str, SpeedFigures]) -> None:
    """Medians by photo set and step."""
    for name, found in figures.items():
        sides = list(found.steps["total"].wall_ms)
        print_table(
            ("ms, wall / CPU", *sides, "times faster, wall", "times faster, CPU"),
            [_step(step, times) for step, times in found.steps.items()],
            title=f"{name}: {found.photos} photos, {found.skipped} skipped; "
            f"target in total >= {found.target:g}",
        )


def print_lfw(figures: LfwFigures) -> None:
    """One column a side."""
    names = list(figures.sides)
    columns = [_lfw(side) for side in figures.sides.values()]
    print_table(
        ("measure", *names),
        _side_by_side(columns),
        title=f"LFW View 2: {figures.pairs} pairs, {figures.images} photos",
    )


def print_celeba(figures: CelebaFigures) -> None:
    """One column a side, and the ratios."""
    names = list(figures.sides)
    columns = [_celeba(side) for side in figures.sides.values()]
    print_table(
        ("measure", *names),
        _side_by_side(columns),
        title=f"CelebA, {figures.people} people, uncropped: {figures.images} photos of "
        f"{figures.identities}, {figures.genuine_pairs} genuine and "
        f"{figures.impostor_pairs} impostor pairs",
    )
    ratios = {"errors": figures.errors_ratio, "faces not found": figures.not_found_ratio}
    print_table(
        (f"{names[0]} / {names[1]}", "ratio", "target"),
        [(what, _ratio(r) if r else "none of theirs", "<= 0.5") for what, r in ratios.items()],
    )


def _step(name: str, times: Step) -> tuple[str, ...]:
    medians = (f"{wall:.1f} / {times.cpu_ms[side]:.1f}" for side, wall in times.wall_ms.items())
    return (name, *medians, _ratio(times.wall_speedup), _ratio(times.cpu_speedup))


def _lfw(side: LfwSide) -> dict[str, str]:
    return {
        "accuracy": _accuracy(side.accuracy),
        "accuracy at the documented tolerance": _accuracy(side.accuracy_at_tolerance),
        "EER": f"{side.equal_error_rate:.2%}",
        "pairs with a failed photo": str(side.failed_pairs),
        "faces not found": str(side.not_found),
        "inconclusive": str(side.inconclusive),
    }


def _celeba(side: CelebaSide) -> dict[str, str]:
    stated = side.at_tolerance
    return {
        "FNMR at FMR 0.001, failures being errors": percent(side.fnmr),
        "the same, of pairs without a failed photo": f"{side.fnmr_of_usable:.2%}",
        "threshold of that": f"{side.threshold:.4f}{'' if side.supported else ', unsupported'}",
        "FMR at the documented tolerance": percent(stated.fmr) if stated else "-",
        "FNMR there": percent(stated.fnmr) if stated else "-",
        "FNMR at that FMR": f"{side.fnmr_at_peer_fmr:.2%}",
        "faces not found": str(side.not_found),
        "inconclusive": str(side.inconclusive),
    }


def _side_by_side(columns: list[dict[str, str]]) -> list[tuple[str, ...]]:
    return [(measure, *(column[measure] for column in columns)) for measure in columns[0]]


def _accuracy(found: Accuracy | None) -> str:
    return f"{found.value:.2%} +- {found.standard_error:.2%}" if found else "-"


def _ratio(found: Interval | Speedup) -> str:
    return f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
