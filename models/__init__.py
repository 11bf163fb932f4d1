"""The record that producer and worker share: jobs, states, tables, reads, writes, settings, errors.

Nothing here imports Celery, Click or torch, so both sides may import all of it.
"""
