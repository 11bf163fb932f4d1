"""Pictures in the terminal, where it can show them."""

import io
import os
import sys
from base64 import b64encode

from PIL import Image
from rich.console import Console

#: Columns that a picture takes at most.
_WIDTH = 60


def print_picture(out: Console, content: bytes) -> None:
    """Show a picture on a terminal that knows iTerm2's protocol, kitty's, or Sixel; nothing anywhere else."""
    # The terminal is asked when the library is imported, and answers by standard input.
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return
    width = min(_WIDTH, out.width)
    if _is_iterm():
        # https://iterm2.com/documentation-images.html; it takes the file as it is.
        arguments = f"inline=1;size={len(content)};width={width};preserveAspectRatio=1"
        out.file.write(f"\x1b]1337;File={arguments}:{b64encode(content).decode()}\x07\n")
        out.file.flush()
        return
    from textual_image import renderable

    if renderable.Image in (renderable.SixelImage, renderable.TGPImage):
        out.print(renderable.Image(Image.open(io.BytesIO(content)), width=width, height="auto"))


def _is_iterm() -> bool:
    """Tell whether the terminal says that it is iTerm2; the second variable reaches a machine that ssh leads to."""
    return os.environ.get("TERM_PROGRAM") == "iTerm.app" or os.environ.get("LC_TERMINAL") == "iTerm2"
