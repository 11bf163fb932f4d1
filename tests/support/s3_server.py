"""A server of S3's protocol on loopback, whose objects outlast its being away."""

import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis_server import free_port

BUCKET = "shoes"
KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "hidden-word", "AWS_REGION": "us-east-1"}


#: All servers of a process have the same objects.
_numbers = itertools.count(1)


class S3Server:
    """Moto's, on a thread of this process."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._address = address
        self._port = free_port()
        self._server: Any = None

    @property
    def variables(self) -> dict[str, str]:
        """What a program needs to reach it."""
        return KEYS | {"AWS_ENDPOINT_URL": f"http://{self._address}:{self._port}"}

    def start(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        # A line for each request.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(self._address, self._port, application, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def place(self) -> dict[str, str]:
        """Return the settings and variables that have pictures lie in a place of their own."""
        self.client.create_bucket(Bucket=BUCKET)
        return self.variables | {"NIGHTSHIFT_PICTURES_URL": f"s3://{BUCKET}/place-{next(_numbers)}"}

    @property
    def client(self) -> Any:
        """Another program's way to it."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.variables["AWS_ENDPOINT_URL"],
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=KEYS["AWS_REGION"],
        )

    @contextmanager
    def away(self) -> Iterator[None]:
        """Have nothing listen there."""
        self.stop()
        try:
            yield
        finally:
            self.start()
