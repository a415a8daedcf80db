"""Numbers in sentences for people."""

from app.training.metrics import Interval


def percent(rate: float) -> str:
    """A rate with as many digits as small ones need."""
    digits = 1 if rate == 0 or rate >= 0.01 else 2 if rate >= 0.001 else 3
    return f"{rate * 100:.{digits}f} %"


def interval(rate: Interval) -> str:
    """A rate and its 95 % interval."""
    return f"{percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)})"


def price(fmr: float) -> str:
    """A target FMR: 0.001 is 0.1 %."""
    return f"{fmr * 100:g} %"


def points(difference: Interval) -> str:
    """A difference of rates and its 95 % interval, in percentage points."""
    value, low, high = (100 * each for each in (difference.value, difference.low, difference.high))
    return f"{value:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"


def count(number: int, word: str) -> str:
    """A number of things."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
