"""Pictures as a training takes them, which is as a person sees them."""

from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from models.types.errors import BadInputError


def read_picture(file: Path) -> Image.Image:
    """Return a picture in RGB: upright, as its camera noted it, and on white where it is transparent.

    Raises:
        BadInputError: with the file, and why it cannot be used.
    """
    try:
        with Image.open(file) as opened:
            opened.getexif()
            # Known by now. In the turned picture they would be written anew, which fails for odd notes of cameras.
            opened.info.pop("exif", None)
            return _in_rgb(ImageOps.exif_transpose(opened))
    except FileNotFoundError:
        what = "is not there"
    except UnidentifiedImageError:
        what = "cannot be read as a picture: save it anew, as PNG or JPEG"
    # Pillow raises what its decoders do, of a picture that is cut short or spoiled.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        what = f"is no whole picture: {error}"
    raise BadInputError([f"{file} {what}"])


def _in_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        # Converted at once, all but its darkest would be white.
        return picture.point(lambda value: value / 257, "L").convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    # What a transparent place hides is black in most files.
    seen = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
