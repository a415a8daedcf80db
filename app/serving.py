"""The bundle that serves, and how another one takes its place while requests go on.

A request captures the current runtime once. An activation prepares another runtime beside it, in
the background: load, test, embed every reference, have new enrolments embedded under both. Then
the pointer is written and one reference is exchanged. Whoever captured the runtime before finishes
with it; nothing holds it after that.
"""

import os
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Event, Lock, Thread, get_native_id
from time import monotonic
from typing import Final

from app.activation import activated, load_tested, overtaken, point_to
from app.domain.audit import SERVICE, Action, Actor, AuditEvent
from app.domain.errors import (
    ActivationRunningError,
    FacetwinError,
    ModelNotFoundError,
    OverloadedError,
    StorageError,
)
from app.domain.models import ActivationState, ActivationStatus
from app.domain.ports import Bundles, FacePipeline
from app.domain.prices import lost_prices
from app.inference.heap import trim_heaps
from app.logs import get_logger
from app.runtime import Runtime
from app.services.gallery_health import Problem, model_not_activated
from app.services.re_embedding import ReEmbedding

POLL_SECONDS: Final = 1.0
"""Between two looks at the file `active`."""

RETRY_SECONDS: Final = 30.0
"""Until a bundle that could not take over is tried again while the file names it."""

_CLOSE_SECONDS: Final = 5.0
_NICE: Final = 10
"""Of the thread that prepares another model, against the 0 of those that answer."""

_log = get_logger("facetwin.models")


class Activation:
    """One activation on its way; may be asked from any thread.

    Attributes:
        status: How far it is; replaced as a whole.
        error: Why it failed; None if it did not (yet).
    """

    def __init__(self, version: str) -> None:
        self.status = ActivationStatus(version, ActivationState.LOADING)
        self.error: FacetwinError | None = None
        self._ended = Event()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; returns whether it came within this time."""
        return self._ended.wait(seconds)

    def progress(self, done: int, total: int) -> None:
        """Note how many references were looked at."""
        self.status = replace(self.status, state=ActivationState.EMBEDDING, done=done, total=total)

    def end(self, error: FacetwinError | None = None, *, warnings: tuple[str, ...] = ()) -> None:
        """It is over."""
        self.error = error
        state = ActivationState.FAILED if error else ActivationState.DONE
        code, message = (error.code, error.message) if error else (None, None)
        self.status = replace(
            self.status, state=state, code=code, message=message, warnings=warnings
        )
        self._ended.set()


class Serving:
    """Holds the current runtime of a service; its methods may be called from any thread.

    Args:
        runtime: The one to begin with.
        bundles: Where others come from, and the pointer that is followed.
        on_swap: Told of each runtime that has taken over.
        poll_seconds: Between two looks at the pointer; 0 for none.
    """

    def __init__(
        self,
        runtime: Runtime,
        bundles: Bundles,
        on_swap: Callable[[Runtime], None],
        *,
        poll_seconds: float,
    ) -> None:
        self._current = runtime
        self.bundles = bundles
        self._on_swap = on_swap
        self._poll_seconds = poll_seconds
        self._followed = runtime.followed or bundles.pointer()
        self._refused: tuple[str | None, float] = (None, 0.0)
        self._problem: Problem | None = None
        self._activation: Activation | None = None
        self._worker: Thread | None = None
        self._leaving: weakref.ref[FacePipeline] | None = None
        self._beginning = Lock()
        self._closing = Event()
        self._watch = Thread(target=self._run_watch, name="model-watch", daemon=True)

    @property
    def current(self) -> Runtime:
        """What a request that begins now is to use, from its beginning to its end."""
        return self._current

    @property
    def activation(self) -> ActivationStatus | None:
        """The activation that runs, or the last one; None if there was none."""
        return self._activation.status if self._activation else None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong although the current runtime serves."""
        return (self._problem,) if self._problem else ()

    def start(self) -> None:
        """Begin to follow the pointer."""
        if self._poll_seconds > 0:
            self._watch.start()

    def close(self) -> None:
        """Stop following, and an activation that runs: the model before stays active."""
        self._closing.set()
        for thread in (self._watch, self._worker):
            if thread is not None and thread.is_alive():
                thread.join(_CLOSE_SECONDS)

    def activate(self, version: str, actor: Actor) -> Activation:
        """Begin to let a bundle take over, in the background.

        Raises:
            ModelNotFoundError: If there is none of this name.
            ActivationRunningError: If one is being activated already.
        """
        if version not in self.bundles.versions():
            raise ModelNotFoundError(f"There is no model {version!r}.", version=version)
        return self._begin(version, actor, follow=False)

    def look(self) -> None:
        """Look at the pointer once, and follow it if someone else has set it."""
        if self._leaving is not None and self._leaving() is None:
            self._leaving = None
            trim_heaps()
        if self._is_busy() or self._closing.is_set():
            return
        wanted = self.bundles.pointer()
        if wanted == self._followed:
            self._problem = None
            return
        refused, again_at = self._refused
        if self._problem is not None and wanted == refused and monotonic() < again_at:
            return
        if wanted is None:
            self._complain(None, "The file is missing or can't be read.")
            return
        self._begin(wanted, SERVICE, follow=True)

    def _run_watch(self) -> None:
        while not self._closing.wait(self._poll_seconds):
            try:
                self.look()
            except ActivationRunningError:
                continue
            except Exception as error:  # noqa: BLE001 - the thread must go on
                _log.warning("model_watch_failed", error=type(error).__name__)

    def _is_busy(self) -> bool:
        return self._activation is not None and not self._activation.status.state.ended

    def _begin(self, version: str, actor: Actor, *, follow: bool) -> Activation:
        with self._beginning:
            if self._closing.is_set():
                raise OverloadedError("The service is being stopped. Try again in a moment.")
            if self._is_busy():
                assert self._activation is not None
                raise ActivationRunningError(
                    f"The model {self._activation.status.version} is being activated; GET /models "
                    "tells how far it is. Try again when it is done."
                )
            activation = self._activation = Activation(version)
            self._worker = Thread(
                target=self._run,
                args=(activation, actor),
                kwargs={"follow": follow},
                name="activation",
                daemon=True,
            )
            self._worker.start()
        return activation

    def _run(self, activation: Activation, actor: Actor, *, follow: bool) -> None:
        before = self.bundles.pointer()
        try:
            self._take_over(activation, actor, before, follow=follow)
        except FacetwinError as error:
            self._fail(activation, actor, error, follow=follow)
        except Exception as error:  # noqa: BLE001 - the model before goes on serving
            _log.exception("activation_failed")
            unexpected = FacetwinError(
                f"The model can't be activated: an unexpected {type(error).__name__} came up."
            )
            self._fail(activation, actor, unexpected, follow=follow)

    def _take_over(
        self, activation: Activation, actor: Actor, before: str | None, *, follow: bool
    ) -> None:
        old, version = self._current, activation.status.version
        if follow and before != version:
            raise overtaken(version)
        pipeline, self_test = load_tested(self.bundles, version, old.settings.max_fmr)
        new = old.under(pipeline, self_test)
        activation.progress(0, 0)
        _give_way()
        old.gallery.succeeded_by(new.gallery)
        old.enrollment.succession.announce(pipeline)
        try:
            self._embed(activation, old, new, before)
            if not follow:
                point_to(self.bundles, version, before)
        except BaseException:
            old.enrollment.succession.announce(old.pipeline)
            old.gallery.succeeded_by(None)
            raise
        self._current = new
        self._leaving = weakref.ref(old.pipeline)
        self._followed = version
        self._problem = None
        self._on_swap(new)
        old.audit.record(activated(actor, pipeline, old.pipeline.version))
        _log.info("model_activated", model=version, before=old.pipeline.version)
        before_it, now = old.pipeline.decider.calibration, pipeline.decider.calibration
        activation.end(warnings=lost_prices(before_it, now, old.settings.max_fmr))

    def _embed(
        self, activation: Activation, old: Runtime, new: Runtime, before: str | None
    ) -> None:
        def stopping() -> bool:
            return self._closing.is_set() or self.bundles.pointer() != before

        work = ReEmbedding(
            old.database, new.gallery, new.pipeline.fingerprint, old.pipeline.fingerprint
        )
        try:
            work.embed(activation.progress, stopping=stopping)
            old.enrollment.succession.wait(stopping)
            work.finish(stopping=stopping)
        except StorageError:
            if stopping() and not self._closing.is_set():
                raise overtaken(activation.status.version) from None
            raise

    def _fail(
        self, activation: Activation, actor: Actor, error: FacetwinError, *, follow: bool
    ) -> None:
        current, version = self._current, activation.status.version
        is_overtaken = isinstance(error, ActivationRunningError)
        if follow and not is_overtaken and not self._closing.is_set():
            self._complain(version, error.message)
        details = {"model": version, "before": current.pipeline.version}
        event = AuditEvent(Action.ACTIVATE_MODEL, actor, None, error.code, details)
        current.audit.record(event)
        # Without its traceback, whose frames hold the model that is not to be used.
        activation.end(type(error)(error.message, **error.extra))

    def _complain(self, wanted: str | None, why: str) -> None:
        """Remember, and log once, that the pointer can't be followed."""
        self._refused = (wanted, monotonic() + RETRY_SECONDS)
        problem = model_not_activated(wanted, self._current.pipeline.version, why)
        if problem != self._problem:
            _log.warning("model_not_activated", reason=problem.message)
        self._problem = problem


def _give_way() -> None:
    """Let this thread compute only when requests leave time for it."""
    if sys.platform == "linux":
        # On Linux a priority is of a thread, not of the whole process. Where the whole process has
        # a lower one already, this would raise it, which is refused.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICE)
