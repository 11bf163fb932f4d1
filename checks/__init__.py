"""Checks of finished pictures: what each measures, what it takes for good, and in which sets they are asked for.

Without torch: a picture is pixels here. A check is a module with a function `check`, and a line in `registry.py`.
"""
