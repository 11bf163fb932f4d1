import pytest

from models.types.printable import is_printable, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a red shoe", "a red shoe"),
        ("un été 日本 👟 <b>", "un été 日本 👟 <b>"),
        ("", ""),
        ("赤い\u3000靴\xa0", "赤い\u3000靴\xa0"),
        ("a\x1b[31mb\x07", r"a\x1b[31mb\x07"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb\u2028c", r"a\u202eb\u2028c"),
        ("\udc80", r"\udc80"),
    ],
)
def test_what_a_terminal_obeys_is_shown(text, shown):
    assert printable(text) == shown
    assert is_printable(printable(text))
