"""The bundles of this installation: those in its folder, and the one that serves."""

from app.domain.errors import UnsupportedFmrError
from app.domain.ports import FacePipeline
from app.first_start import fill_volume
from app.inference.bundle import load_active
from app.inference.bundle_lock import hold
from app.inference.decode import DecodeLimits
from app.inference.pipeline import Pipeline
from app.inference.shelf import BundleShelf
from app.settings import Settings
from app.storage.database import Database


def bundle_shelf(settings: Settings) -> BundleShelf:
    """The bundles of this installation."""
    return BundleShelf(settings.model_dir, settings.inference_threads, _limits(settings))


def load_pipeline(settings: Settings, *, upgrade: bool = False) -> Pipeline:
    """Load the active bundle, first of all: without one nothing else is touched.

    Args:
        settings: Where it is, and how it runs.
        upgrade: As in `fill_volume`.

    Raises:
        ModelNotFoundError, BundleError: If there is no usable bundle.
        StorageError: If the volume was written by a newer version, or can't be filled.
        UnsupportedFmrError: If the bundle knows no threshold for the rate of the settings.
    """
    _refuse_newer_volume(settings)
    fill_volume(settings, upgrade=upgrade)
    bundle = load_active(settings.model_dir)
    pipeline = Pipeline(bundle, engines=settings.inference_threads, limits=_limits(settings))
    require_price(pipeline, settings.max_fmr)
    directory = settings.model_dir / pipeline.version
    if directory.is_dir():
        hold(directory, pipeline)
    return pipeline


def _refuse_newer_volume(settings: Settings) -> None:
    """An image that is older than the volume must not put its own bundle in there.

    Raises:
        StorageError: If a newer version has migrated the database.
    """
    if settings.shipped_model_dir is not None:
        database = Database(settings.database_url)
        try:
            database.refuse_unknown()
        finally:
            database.close()


def require_price(pipeline: FacePipeline, max_fmr: float) -> None:
    """Refuse a bundle that knows no threshold for the rate of the settings.

    Raises:
        UnsupportedFmrError: If it supports the rate for nobody.
    """
    if not pipeline.decider.calibration.supports(max_fmr):
        raise UnsupportedFmrError(
            f"FACETWIN_MAX_FMR={max_fmr:g} is stricter than the model {pipeline.version} can price."
        )


def _limits(settings: Settings) -> DecodeLimits:
    return DecodeLimits(settings.max_image_bytes, settings.max_image_pixels)
