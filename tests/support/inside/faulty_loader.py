"""Has workers, and what puts messages on the queue, come to `places`."""

from celery.app.amqp import AMQP
from composing import ComposingLoader
from places import reach


class FaultyAMQP(AMQP):
    """What puts many messages on the queue at once."""

    def Producer(self, *arguments, **options):  # noqa: N802 - Celery's name for it
        reach("publishing")
        return super().Producer(*arguments, **options)


class Loader(ComposingLoader):
    def compose(self, app):
        super().compose(app)
        app.amqp_cls = FaultyAMQP
        make = app.Worker

        def start(*arguments, **options):
            # Where Celery begins with the worker's own modules, before it comes to the one that imports torch.
            reach("starting")
            return make(*arguments, **options)

        app.Worker = start

    def program(self):
        from faulty_worker import FaultyProgram

        return FaultyProgram
