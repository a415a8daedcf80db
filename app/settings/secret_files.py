"""Settings from files, as container platforms hand over secrets: one file for each setting."""

import os
from pathlib import Path
from typing import Final

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource

VARIABLE: Final = "FACETWIN_SECRETS_DIR"


def secret_files(settings: type[BaseSettings]) -> tuple[PydanticBaseSettingsSource, ...]:
    """The files `facetwin_api_keys` and so on, if a folder of such is named and exists."""
    folder = os.environ.get(VARIABLE)
    if not folder or not Path(folder).is_dir():
        return ()
    return (SecretsSettingsSource(settings, folder),)
