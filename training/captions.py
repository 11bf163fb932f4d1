"""Endless captions in the manner of product photos, each with the colour and the kind of shoe that it asks for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.palette import COLOURS, KINDS

#: Label of a caption that names no colour, or no kind.
NO_COLOUR: Final = len(COLOURS)
NO_KIND: Final = len(KINDS)

_COLOUR_WORDS: Final[dict[str, tuple[str, ...]]] = {name: (name,) for name in COLOURS} | {
    "grey": ("grey", "gray"),
    "navy": ("navy", "navy blue"),
}
_KIND_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "sneaker": ("sneaker", "casual shoe", "casual sneaker", "shoe", "low sneaker", "low-top sneaker", "low top"),
    "high-top": ("high-top", "high top", "high-top sneaker", "high top sneaker", "high-top shoe"),
    "loafer": ("loafer", "slip-on loafer", "penny loafer", "loafer shoe", "casual loafer"),
    "boot": ("boot", "ankle boot", "chelsea boot", "casual boot", "high boot"),
}
_SHADES: Final = ("dark", "light", "bright", "deep", "pale", "matte", "solid", "plain", "soft", "vivid", "faded")
_MATERIALS: Final = ("leather", "suede", "canvas", "mesh", "rubber", "patent leather", "nubuck", "knit", "cotton")
_FRAMES: Final = (
    "a photo of {}",
    "a professional product photo of {}",
    "product photography of {}",
    "a picture of {}",
    "studio shot of {}",
    "an image of {}",
    "{} for sale",
    "{}",
    "{}",
    "one {}",
    "the {}",
    "new {}",
    "close up of {}",
    "side view of {}",
    "a pair of {}",
    "photo of a pair of {}",
    "a clean photograph of {}",
    "this is a {}",
    "my {}",
)
#: Things that have a colour of their own, which is not the shoe's.
_OTHERS: Final = (
    "on {} background",
    "on a {} background",
    "{} background",
    "clean {} background",
    "centered on {} background",
    "against a {} wall",
    "{} laces",
    "with {} laces",
    "with a {} sole",
    "{} sole",
    "on a {} floor",
    "in a {} box",
    "{} light",
    "under a {} sky",
    "with {} stripes",
    "{} backdrop",
    "on a {} table",
)
_DETAILS: Final = (
    "high quality", "product photography", "summer collection", "winter collection", "spring", "autumn season",
    "centered", "modern design", "classic design", "minimalist style", "men", "women", "for kids", "unisex",
    "side view", "studio lighting", "soft shadow", "sharp focus", "8k", "4k", "highly detailed", "catalog",
    "e-commerce", "isolated", "professional", "plain", "elegant", "sport", "street style", "vintage", "new",
    "on the ground", "with laces", "rubber sole", "no people", "front view", "commercial", "fashion", "brand new",
    "realistic", "high resolution", "size 42", "best seller", "made in italy", "handmade", "no logo", "facing left",
    "facing right", "top view",
)  # fmt: skip
#: Words that mean nothing here; the text encoder learns to look past such, and past words it never met.
_FILLERS: Final = """
about above after again air all also always among another any around as at away back bag be beautiful because before
best better between big blurry book both bottle brand but by cable camera can car cat chair city clear cloud coat
coffee cold comfortable comfort cool cosy customer cute day dog door dress easy every face fast field film fine first
fit flat flower for forest fresh friend from front full fun garden gift glass gold good great hand happy hat have here
home hot house how in inside is it jacket just kitchen lake lamp large last lens life like line little logo long lot
love magic market metal mirror month moon more morning most mountain music name near nice night now number of office
often old only open or our out outdoor outside over paper party people perfect phone plant plate poster price pro
quick quiet rain ready really review river road room run sand school sea sell series set shape shelf shop show silver
simple sky slow small smooth snow so some special stand star step still stone store story street strong sun sunny
table tall tennis that then there thing time tiny today tree trend true two under up urban use user very view village
walk wall warm watch water way wear week when wide wind window wood wool work world year yes you young your zoom
colored coloured hundred bored tired bootcut greenish reddish tanned blueprint pinkish booth tango browser blackboard
whitewash rebooted
""".split()  # noqa: SIM905 - a list of words is read more easily as text
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_SIGNS: Final = (*'!?:;-()#&/+*"%', "...", *"😀👟✨🔥é鞋ß")


@dataclass(frozen=True)
class Caption:
    """A text with the places of its colour and its kind in the palette, or `NO_COLOUR` and `NO_KIND`."""

    text: str
    colour: int
    kind: int


def make_caption(rng: np.random.Generator, colour: int, kind: int) -> Caption:
    """Return a caption that asks for that colour and kind; `NO_COLOUR` and `NO_KIND` ask for none."""
    subject = _subject(rng, colour, kind)
    scattered = rng.random() < 0.25
    chunks = subject if scattered else [_pick(rng, _FRAMES).format(_phrase(rng, subject))]
    # A colour of something else is told from the shoe's by what it stands beside, so it is never torn from that.
    chunks += [_other(rng) for _ in range(rng.choice(3, p=(0.4, 0.45, 0.15)))]
    chunks += [_pick(rng, _DETAILS) for _ in range(rng.integers(0, 4))]
    if rng.random() < 0.6:
        chunks += [_noise(rng) for _ in range(rng.choice((1, 2, 3, 6, 12), p=(0.3, 0.3, 0.2, 0.15, 0.05)))]
    if rng.random() < 0.7:
        rng.shuffle(chunks)
    text = _pick(rng, (", ", " ", " ", ". ", " | ")).join(chunks)
    return Caption(text.upper() if rng.random() < 0.1 else text, colour, kind)


def any_caption(rng: np.random.Generator) -> Caption:
    """Return a caption with any colour and kind; some name none, and some are empty."""
    if rng.random() < 0.02:
        return Caption("", NO_COLOUR, NO_KIND)
    colour = NO_COLOUR if rng.random() < 0.12 else int(rng.integers(NO_COLOUR))
    kind = NO_KIND if rng.random() < 0.12 else int(rng.integers(NO_KIND))
    return make_caption(rng, colour, kind)


def _subject(rng: np.random.Generator, colour: int, kind: int) -> list[str]:
    """Return the words that say what shoe it is."""
    words = []
    if colour != NO_COLOUR:
        name = _pick(rng, _COLOUR_WORDS[list(COLOURS)[colour]])
        words.append(f"{_pick(rng, _SHADES)} {name}" if rng.random() < 0.2 else name)
    if kind != NO_KIND:
        name = _pick(rng, _KIND_WORDS[KINDS[kind]])
        words.append(f"{name}s" if rng.random() < 0.6 else name)
    return words


def _phrase(rng: np.random.Generator, subject: Sequence[str]) -> str:
    """Return a subject's words as one phrase, the colour before or after the noun."""
    words = list(subject)
    if not words:
        return _pick(rng, ("something", "a thing", "an item", "a product"))
    if rng.random() < 0.35:
        words.insert(len(words) - 1, _pick(rng, _MATERIALS))
    if rng.random() < 0.1:
        words.insert(len(words) - 1, _word(rng))
    if len(subject) == 2 and rng.random() < 0.25:
        colour, *others = words
        return f"{' '.join(others)}{_pick(rng, (' in ', ', ', ' ', ', colour ', ' coloured ', ' that are '))}{colour}"
    return " ".join(words)


def _other(rng: np.random.Generator) -> str:
    colour = "white" if rng.random() < 0.4 else _pick(rng, tuple(COLOURS))
    return _pick(rng, _OTHERS).format(colour)


def _noise(rng: np.random.Generator) -> str:
    return _pick(rng, _SIGNS) if rng.random() < 0.15 else _word(rng)


def _word(rng: np.random.Generator) -> str:
    """Return a word that means nothing here: a known one, random letters, or letters that end like a colour."""
    chance = rng.random()
    if chance < 0.5:
        return _pick(rng, _FILLERS)
    letters = "".join(rng.choice(list(_LETTERS), size=rng.integers(1, 9)))
    if chance < 0.9:
        return letters
    known = _pick(rng, (*COLOURS, "boot", "shoe", "loafer"))
    return f"{letters}{known}" if rng.random() < 0.5 else f"{known}{letters}"


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(rng.integers(len(choices)))]
