"""Activating a bundle: check, load, test and price it, embed every reference, then point to it.

The pointer, the file `active`, is the truth. It is written last, in one rename, so that a crash or
a full disk before leaves the model that was active, whole. A running service follows it.
"""

from app.domain.audit import COMMAND, Action, Actor, AuditEvent
from app.domain.calibration import Calibration
from app.domain.errors import ActivationRunningError, BundleError, ModelNotFoundError
from app.domain.ports import Bundles, LoadedPipeline
from app.domain.prices import lost_prices
from app.installed_bundles import bundle_shelf, require_price
from app.runtime import Progress, SelfTest, open_runtime
from app.services.re_embedding import ReEmbedding
from app.settings import Settings


def activate_version(
    settings: Settings,
    version: str,
    progress: Progress | None = None,
    *,
    actor: Actor = COMMAND,
) -> tuple[str, ...]:
    """Let a bundle serve from now on; for processes beside the service, or without one.

    Args:
        settings: Where everything lies.
        version: Name of the bundle.
        progress: Called with (done, total) while references are embedded.
        actor: Whom the audit log names.

    Returns:
        Warnings of what the change costs, for a person.

    Raises:
        ModelNotFoundError: If there is no such bundle.
        BundleError: If it is damaged, fails its self-test, or can use no reference.
        UnsupportedFmrError: If it can't price FACETWIN_MAX_FMR.
        ActivationRunningError: If another model was activated meanwhile.
        StorageError: If references can't be embedded, or the pointer can't be written.
    """
    bundles = bundle_shelf(settings)
    before = bundles.pointer()
    old = _calibration(bundles, before)
    pipeline, _ = load_tested(bundles, version, settings.max_fmr)
    runtime = open_runtime(settings, progress=progress, pipeline=pipeline)
    try:
        fingerprint = _fingerprint(bundles, before)
        ReEmbedding(runtime.database, runtime.gallery, pipeline.fingerprint, fingerprint).finish()
        point_to(bundles, version, before)
        runtime.audit.record(activated(actor, pipeline, before))
    finally:
        runtime.close()
    return lost_prices(old, pipeline.decider.calibration, settings.max_fmr) if old else ()


def load_tested(bundles: Bundles, version: str, max_fmr: float) -> tuple[LoadedPipeline, SelfTest]:
    """Load a bundle that may serve.

    Raises:
        ModelNotFoundError: If there is none.
        BundleError: If it is damaged or fails its self-test.
        UnsupportedFmrError: If it can't price `max_fmr`.
    """
    pipeline = bundles.load(version)
    self_test = SelfTest(*pipeline.self_test())
    if not self_test.ok:
        raise BundleError(f"The model {version} failed its self-test: {self_test.detail}.")
    require_price(pipeline, max_fmr)
    return pipeline, self_test


def point_to(bundles: Bundles, version: str, before: str | None) -> None:
    """Write the pointer, if it still says what it said `before`.

    Raises:
        ActivationRunningError: If it does not: whoever came later is to be followed.
        StorageError: If it can't be written; then it is as it was.
    """
    if bundles.pointer() != before:
        raise overtaken(version)
    bundles.point_to(version)


def overtaken(version: str) -> ActivationRunningError:
    """The error for an activation that came too late."""
    return ActivationRunningError(
        f"Another model was activated while {version} was being prepared. Try again if {version} "
        "is the one to serve."
    )


def activated(actor: Actor, pipeline: LoadedPipeline, before: str | None) -> AuditEvent:
    """What the audit log says of it."""
    details = {"model": pipeline.version, "fingerprint": pipeline.fingerprint, "before": before}
    return AuditEvent(Action.ACTIVATE_MODEL, actor, None, "activated", details)


def _calibration(bundles: Bundles, version: str | None) -> Calibration | None:
    """Of a bundle; None if it can't be read: then nothing is known that could be lost."""
    try:
        return None if version is None else bundles.calibration(version)
    except (ModelNotFoundError, BundleError):
        return None


def _fingerprint(bundles: Bundles, version: str | None) -> str | None:
    """Of a bundle, as far as its manifest can be read."""
    found = (each.fingerprint for each in bundles.summaries() if each.version == version)
    return next(found, None)
