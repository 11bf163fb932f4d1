"""Text of others as one line that a terminal, a log and a page can show."""


def printable(text: str) -> str:
    r"""Return `text` with all that a terminal may obey made visible: an escape reads `\x1b`, a line end `\n`.

    What changes the direction of the text or takes no room is among them (Unicode's Cc, Cf, Zl, Zp and the like, by
    `str.isprintable`).
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
