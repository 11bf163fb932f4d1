"""What `celery -A worker worker` looks for: the app of the settings in force."""

import sys

from models.settings import load_settings
from models.types.errors import SettingsError
from worker.queue.app import make_app

try:
    app = make_app(load_settings())
except SettingsError as error:
    # Celery would print a traceback of a failed import; the one line says all there is.
    sys.exit(str(error))
