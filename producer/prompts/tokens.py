"""Counting a prompt's tokens as CLIP does, without torch or transformers."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from huggingface_hub import try_to_load_from_cache
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from models.checkpoints import is_hub_id, local_path
from models.records.batches import PlannedJob
from models.types.prompt_syntax import Fragment, Part, has_syntax, left_as_words, parse_prompt

#: CLIP's text encoder has 77 places; start and end token take two of them.
PLACES = 77
_USABLE = PLACES - 2
#: How CLIP splits a text into words (openai/CLIP, clip/simple_tokenizer.py).
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def cut_prompts(jobs: Iterable[PlannedJob], *, weights: bool) -> Iterator[tuple[int | None, str]]:
    """Yield the line of each prompt that is too long, and the end that CLIP does not see.

    With `weights` the signs that weigh words are no tokens, and each part between BREAKs has its own places. A
    checkpoint whose tokenizer is not on this machine is passed over: the worker's rows will say it.
    """
    # The jobs of one request follow one another.
    for (line, checkpoint, prompt), _ in groupby(
        jobs, key=lambda job: (job.source_line, job.spec.checkpoint, job.spec.prompt)
    ):
        tokenizer = _tokenizer_for(checkpoint, prompt)
        if tokenizer is None:
            continue
        cut = " … ".join(filter(None, (_cut(tokenizer, part) for part in _parts(prompt, weights=weights))))
        if cut:
            yield line, cut


def cut_caption(checkpoint: str, caption: str) -> str:
    """Return the end of a training's caption that CLIP does not see, or nothing, as `cut_prompts` would.

    A caption is words alone: what weighs them in a prompt is words in it.
    """
    tokenizer = _tokenizer_for(checkpoint, caption)
    return "" if tokenizer is None else _cut(tokenizer, (Fragment(caption, 1.0),))


def _tokenizer_for(checkpoint: str, text: str) -> Tokenizer | None:
    # A token takes a byte at least, so most texts need no counting; an emoji may be four.
    return _tokenizer(checkpoint) if len(text.encode()) > _USABLE else None


def _parts(prompt: str, *, weights: bool) -> Sequence[Part]:
    return parse_prompt(prompt) if weights and has_syntax(prompt) else ((Fragment(prompt, 1.0),),)


def _cut(tokenizer: Tokenizer, part: Part) -> str:
    """Return the end of a part that does not fit, or nothing."""
    ids = [number for one in part for number in tokenizer.encode(one.text, add_special_tokens=False).ids]
    return str(tokenizer.decode(ids[_USABLE:])).replace("</w>", " ").strip() if len(ids) > _USABLE else ""


@cache
def _tokenizer(checkpoint: str) -> Tokenizer | None:
    whole = _file(checkpoint, "tokenizer.json")
    if whole is not None:
        return Tokenizer.from_file(str(whole))
    vocabulary, merges = (_file(checkpoint, name) for name in ("vocab.json", "merges.txt"))
    return None if vocabulary is None or merges is None else _clip_tokenizer(vocabulary, merges)


def _clip_tokenizer(vocabulary: Path, merges: Path) -> Tokenizer:
    """Build what transformers' CLIPTokenizer builds from the older files, which Stable Diffusion 1.5 has."""
    tokenizer = Tokenizer(
        models.BPE.from_file(str(vocabulary), str(merges), end_of_word_suffix="</w>", unk_token="<|endoftext|>")  # noqa: S106
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _file(checkpoint: str, name: str) -> Path | None:
    if is_hub_id(checkpoint):
        cached = try_to_load_from_cache(checkpoint, f"tokenizer/{name}")
        return Path(cached) if isinstance(cached, str) else None
    file = local_path(checkpoint) / "tokenizer" / name
    return file if file.is_file() else None


def syntax_left(jobs: Iterable[PlannedJob]) -> Iterator[tuple[int | None, str]]:
    """Yield the line of each prompt that has some, in it or in its negative prompt, and what that is."""
    # The jobs of one request follow one another.
    for (line, prompt, negative), _ in groupby(
        jobs, key=lambda job: (job.source_line, job.spec.prompt, job.spec.negative_prompt)
    ):
        if left := list(dict.fromkeys([*left_as_words(prompt), *left_as_words(negative)])):
            yield line, "; ".join(left)
