"""The Celery worker: one process per device, which keeps a warmed pipeline and makes the pictures.

`worker.queue` is light and safe to import anywhere. Every other module belongs to the worker process.
"""
