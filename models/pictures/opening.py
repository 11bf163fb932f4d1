"""Which store the settings name."""

from models.pictures.folder import FolderStore
from models.pictures.store import PictureStore
from models.settings import Settings


def open_store(settings: Settings) -> PictureStore:
    """Return the store of pictures."""
    return FolderStore(settings.data_dir)
