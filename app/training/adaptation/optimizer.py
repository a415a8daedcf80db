"""How weights that are good already are moved: small steps that end in none."""

from typing import Any


def cosine_adam(rate: float, *, steps: int, warm_up: int, average: float | None = None) -> Any:
    """Adam whose step size rises for `warm_up` steps, then falls to a fiftieth along a cosine.

    Args:
        rate: Largest step size.
        steps: In all.
        warm_up: Of these, how many it rises.
        average: Momentum of an average over steps, for `finalize_variable_values`; None for none.
    """
    import keras

    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=rate / 20,
        decay_steps=max(steps - warm_up, 1),
        alpha=0.02,
        warmup_target=rate,
        warmup_steps=warm_up,
    )
    return keras.optimizers.Adam(
        schedule, beta_2=0.99, use_ema=average is not None, ema_momentum=average or 0.99
    )
