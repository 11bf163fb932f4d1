"""Text of others as one line that a terminal, a log and a page can show."""

import unicodedata


def is_printable(text: str) -> bool:
    """Tell whether nothing in the text is for a terminal to obey: no control character, no mark of direction.

    These are Unicode's categories C and, of the separators, the ends of lines and paragraphs. `str.isprintable` alone
    would refuse the spaces of other scripts, too.
    """
    return text.isprintable() or all(_is_shown(character) for character in text)


def printable(text: str) -> str:
    r"""Return `text` with all that a terminal may obey made visible: an escape reads `\x1b`, a line end `\n`."""
    if is_printable(text):
        return text
    return "".join(c if _is_shown(c) else c.encode("unicode_escape").decode() for c in text)


def has_control_characters(text: str) -> bool:
    """Tell whether the text holds line ends, escapes or the like: Unicode's category Cc."""
    return any(unicodedata.category(character) == "Cc" for character in text)


def _is_shown(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
