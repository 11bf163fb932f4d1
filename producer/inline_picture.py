"""Pictures in the terminal, where it can show them."""

import sys
from pathlib import Path

from rich.console import Console

#: Columns that a picture takes at most.
_WIDTH = 60


def print_picture(out: Console, path: Path) -> None:
    """Show a picture on a terminal that knows Sixel or kitty's protocol; nothing anywhere else."""
    # The terminal is asked when the library is imported, and answers by standard input.
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return
    from textual_image import renderable

    if renderable.Image in (renderable.SixelImage, renderable.TGPImage):
        out.print(renderable.Image(path, width=min(_WIDTH, out.width), height="auto"))
