"""Has Celery run a worker program of the tests': CELERY_LOADER names a loader of this kind.

The commands are the product's own, so what starts a worker (a person, `producer run`, the worker itself) need not know.
"""

from celery.loaders.app import AppLoader


class ComposingLoader(AppLoader):
    def __init__(self, app, **options):
        super().__init__(app, **options)
        # Celery has an app of its own in each process.
        if app.main == "nightshift":
            self.compose(app)

    def compose(self, app):
        app.Worker = lambda *arguments, **options: self._program(app)(*arguments, **options)

    def _program(self, app):
        # First, since it sets what libraries read when they are imported.
        import worker.program  # noqa: F401

        return app.subclass_with_self(self.program(), name="Worker")

    def program(self):
        """Return the program; imported only in a worker's process, since it brings torch."""
        raise NotImplementedError
