"""Where requests come from: a file or standard input, the command line, earlier pictures; and templates among them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import click

from models.settings import Settings
from models.types.lora import taken_out
from models.types.presets import preset_of
from models.types.printable import printable
from producer.prompts.problems import Problems
from producer.prompts.reading import read_requests
from producer.prompts.request import Request

SHOWN_WARNINGS = 5
#: As `producer.prompts.templates` knows them, which brings a parser that most commands do not need.
TEMPLATES = ("combinatorial", "random", "cyclical")
_COMMAND_LINE = "prompt"


@dataclass(frozen=True)
class Sources:
    """What the command line names."""

    prompts: str | None
    texts: tuple[str, ...]
    pictures: tuple[str, ...]
    template: str | None
    limit: int | None
    wildcards: Path | None
    keep_columns: bool = False

    def __post_init__(self) -> None:
        if self.prompts is None and not self.texts and not self.pictures:
            raise click.UsageError("say what to make with --prompts FILE, --prompt TEXT or --from PNG")
        if self.template is None and (self.limit is not None or self.wildcards is not None):
            raise click.UsageError("--limit and --wildcards are for templates; add --template combinatorial")
        if self.template not in (None, "combinatorial") and self.limit is None:
            raise click.UsageError(f"--template {self.template} has no end; say how many prompts of each with --limit")

    @property
    def name(self) -> str:
        """What people call the source that comes first."""
        if self.prompts == "-":
            return "standard input"
        return self.prompts or (_COMMAND_LINE if self.texts else self.pictures[0])

    def requests(self, settings: Settings, flags: Mapping[str, object], problems: Problems) -> Iterator[Request]:
        """Yield what is asked for, one after the other; what cannot be used is added to `problems`."""
        written = chain(
            () if self.prompts is None else read_requests(self.prompts, problems, keep_columns=self.keep_columns),
            (Request(None, {"prompt": text}) for text in self.texts),
        )
        yield from written if self.template is None else self._expanded(written, self.template, flags, problems)
        if self.pictures:
            yield from self._from_pictures(settings, flags, problems)

    def _expanded(
        self, written: Iterator[Request], template: str, flags: Mapping[str, object], problems: Problems
    ) -> Iterator[Request]:
        # A parser, for those who have templates.
        from producer.prompts.templates.templates import METHODS, Templates
        from producer.prompts.templates.wildcards import Wildcards

        beside = Path() if self.prompts in (None, "-") else Path(str(self.prompts)).parent
        wildcards = Wildcards(self.wildcards, beside, METHODS[template], self.limit)
        templates = Templates(METHODS[template], self.limit, flags.get("seed"), wildcards)
        return templates.expand(written, self.name, problems, flags.get("negative_prompt"))

    def _from_pictures(self, settings: Settings, flags: Mapping[str, object], problems: Problems) -> Iterator[Request]:
        # Pillow and sd-parsers, for those who have pictures.
        from producer.prompts.earlier_pictures.reading import known_checkpoints, read_pictures

        checkpoints = known_checkpoints(settings.checkpoint, settings.places_of_checkpoints)
        warnings: list[str] = []
        for request in read_pictures(
            self.pictures, checkpoints, problems, warnings.append, named="checkpoint" in flags
        ):
            # Whoever names a flag beside a picture wants that picture changed.
            # A preset settles these in place of the picture's.
            settled = {*flags, *preset_of(flags.get("preset")).settles}
            prompt, tags = taken_out(str(request.values.get("prompt", "")))
            # A picture of ours says apart where its LoRAs come from, which the tags of a prompt do not.
            own = {"lora": tags, **request.values, "prompt": prompt} if tags else request.values
            values = {name: value for name, value in own.items() if name not in settled}
            yield replace(request, values=values)
        _warn(warnings)


def _warn(warnings: list[str]) -> None:
    for text in warnings[:SHOWN_WARNINGS]:
        click.echo(f"producer: warning: {printable(text)}", err=True)
    if len(warnings) > SHOWN_WARNINGS:
        click.echo(f"producer: warning: … and {len(warnings) - SHOWN_WARNINGS:,} more like these", err=True)
