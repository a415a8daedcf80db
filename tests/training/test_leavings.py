"""What a stage leaves in memory."""

import gc
import weakref

from app.training.leavings import let_go


class Model:
    """Holds itself, as what Keras compiles does."""

    def __init__(self) -> None:
        self.own = self


def test_what_holds_itself_goes_at_once() -> None:
    gc.disable()
    try:
        gone = weakref.ref(Model())
        assert gone() is not None
        let_go()
        assert gone() is None
    finally:
        gc.enable()
