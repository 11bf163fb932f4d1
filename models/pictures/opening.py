"""Which store the settings name."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.pictures.folder import FolderStore
from models.pictures.store import PictureStore
from models.settings import Settings
from models.types.errors import SettingsError

_GB = 10**9


def open_store(settings: Settings) -> PictureStore:
    """Return the store of pictures: the data folder, another folder, or an object store.

    Raises:
        SettingsError: NIGHTSHIFT_PICTURES_URL cannot be used.
    """
    url = settings.pictures_url
    if not url:
        return FolderStore(settings.data_dir)
    if "://" not in url or url.startswith("file://"):
        return FolderStore(Path(unquote(urlsplit(url).path) if "://" in url else url).expanduser().absolute())
    try:
        from models.pictures.objects import ObjectStore
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("obstore"):
            raise
        raise SettingsError(
            "NIGHTSHIFT_PICTURES_URL names an object store, which needs its library: pip install 'nightshift[objects]'"
        ) from error
    return ObjectStore(url, settings.data_dir, round(settings.pictures_cache_gb * _GB))
