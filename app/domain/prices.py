"""What a change of the model costs: whom the new calibration can't price any more."""

from collections.abc import Sequence

from app.domain.calibration import BUCKETS, Calibration

_Change = tuple[tuple[str, ...], tuple[str, ...]]
"""Buckets that lose their price, and those that have one now."""


def lost_prices(old: Calibration, new: Calibration, max_fmr: float) -> tuple[str, ...]:
    """Warn of requests at the service's rate that only the model before could answer.

    Args:
        old: Of the model before.
        new: Of the one that takes its place.
        max_fmr: The service's rate.

    Returns:
        A sentence for a person; nothing if all that had a price keeps one.
    """
    named = dict.fromkeys(name for name in (old.subject, new.subject) if name is not None)
    everybody = _change(old, new, None, max_fmr)
    # Who fares like everybody needs no word of their own.
    apart = {
        name: change for name in named if (change := _change(old, new, name, max_fmr)) != everybody
    }
    but = f" but {' and '.join(apart)}" if apart else ""
    losers = {f"everybody{but}": everybody, **apart}
    parts = [f"{who} {_references(change)}" for who, change in losers.items() if change[0]]
    if "1" in everybody[0]:
        # The second photo is somebody's only reference, and nobody says whose.
        parts.append("/compare")
    if not parts:
        return ()
    warning = (
        f"This model can't price FACETWIN_MAX_FMR={max_fmr:g}, as the one before could, for: "
        f"{'; '.join(parts)}. They are answered unsupported_fmr."
    )
    return (warning,)


def _change(old: Calibration, new: Calibration, name: str | None, max_fmr: float) -> _Change:
    before, after = old.about(name).priced(max_fmr), new.about(name).priced(max_fmr)
    return tuple(bucket for bucket in before if bucket not in after), after


def _references(change: _Change) -> str:
    lost, kept = change
    if len(lost) == len(BUCKETS):
        return "with any number of references"
    still = f" (still priced with {_either(kept)})" if kept else ""
    return f"with {_either(lost)} reference{'' if lost == ('1',) else 's'}{still}"


def _either(buckets: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(buckets[:-1]), buckets[-1])))
