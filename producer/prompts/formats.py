"""What `--help-format` shows: each form that prompts may have, with an example that can be copied."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import click


@dataclass(frozen=True)
class Example:
    """One form of prompts."""

    title: str
    #: What is to be known of it, a paragraph.
    text: str
    #: The files that it takes, by name.
    files: Mapping[str, str]
    #: The arguments of `producer enqueue`, or of `run`.
    arguments: tuple[str, ...]
    #: Files that have to be there already.
    needs: tuple[str, ...] = field(default=())


EXAMPLES = (
    Example(
        "Text",
        "A prompt a line. Blank lines and lines that start with # do not count. (red:1.3) weighs a word more, [red] "
        "less, and BREAK begins a part that is seen by itself, as in A1111.",
        {"shoes.txt": "# for the spring\nblack casual shoes, studio light\nred sneakers on white\n"},
        ("--prompts", "shoes.txt", "--count", "4"),
    ),
    Example(
        "Text with options",
        "A line with options, as A1111's `prompts from file` takes it: --prompt and --negative_prompt take all words "
        "up to the next option; --steps, --seed, --cfg_scale, --width, --height, --sampler_name, --batch_size and "
        "--n_iter work, as do the names of the flags. Quotes are a shell's.",
        {"lines.txt": '--prompt a red shoe --steps 20 --seed 7\n--prompt "a blue boot" --sampler_name "Euler a"\n'},
        ("--prompts", "lines.txt"),
    ),
    Example(
        "CSV",
        "A header that names the columns as the flags; a cell that is empty takes the flag's value. Commas, semicolons "
        "or tabs are between the cells. text and caption are the prompt, too, num_inference_steps are the steps, and "
        "guidance_scale, sampler, num_images_per_prompt and negative are understood. Columns of other names are "
        "refused, unless --keep-columns keeps them as attributes of the jobs.",
        {"shoes.csv": 'prompt,seed,count,width,height\n"red shoes, studio light",7,4,512,512\nblue boots,,2,,\n'},
        ("--prompts", "shoes.csv"),
    ),
    Example(
        "JSON Lines",
        "An object a line, its keys named as the columns of CSV; the suffix is .jsonl or .ndjson.",
        {"shoes.jsonl": '{"prompt": "a red shoe", "steps": 20}\n{"prompt": "a blue boot", "seed": 7, "count": 2}\n'},
        ("--prompts", "shoes.jsonl"),
    ),
    Example(
        "LoRAs",
        "<lora:name:0.8> in a prompt, a column or key lora, and --lora name LoRAs by their files in "
        "NIGHTSHIFT_LORA_FOLDERS, and how much each counts.",
        {"loras.csv": 'prompt,lora\na red shoe,olive:0.8\na blue boot,"olive, leather:0.5"\n'},
        ("--prompts", "loras.csv"),
    ),
    Example(
        "Earlier pictures",
        "The parameters inside a PNG file that was made here, by A1111, ComfyUI, InvokeAI, NovelAI or Fooocus, or in "
        "each of a folder. Of one that was made here, the same "
        "checkpoint on the same device gives the same pixels. A flag beside it changes what it names.",
        {},
        ("--from", "picture.png", "--steps", "30"),
        needs=("picture.png",),
    ),
    Example(
        "Templates, all combinations",
        "With --template a prompt is a template in the syntax of dynamicprompts: {black|brown} is a choice, {2$$a|b|c} "
        "takes two, __season__ a line of season.txt, which lies beside the prompts, in a folder wildcards there, or in "
        "--wildcards DIR. ${colour=!{black|brown}} names a choice, and ${colour} takes it. # and // begin a comment. "
        "What was chosen is kept with the job, by its name: the variable's, the wildcard's, or choice 1, choice 2. "
        "Wildcards may be lists in .yaml and .json, too, and their lines may begin with a weight, as in 3::black. A "
        "negative prompt is a template as well. Without --template braces are plain text.",
        {
            "template.txt": "${colour=!{black|brown|white}}a photo of ${colour} {casual shoes|sneakers}, __season__\n",
            "season.txt": "in winter\nin summer\n",
        },
        ("--prompts", "template.txt", "--template", "combinatorial"),
    ),
    Example(
        "Templates, some of the combinations",
        "random draws --limit prompts of each template; --seed makes the same choice again, and {3::black|white} draws "
        "black three times as often. cyclical goes through each choice in turn.",
        {"template.txt": "a photo of {3::black|white} {casual shoes|sneakers}\n"},
        ("--prompts", "template.txt", "--template", "random", "--limit", "10", "--seed", "1"),
    ),
)


def show_formats(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Print the examples and end, if that is asked for."""
    if not wanted or ctx.resilient_parsing:
        return
    for example in EXAMPLES:
        click.echo(f"{example.title}\n")
        click.echo(click.wrap_text(example.text, 78, "  ", "  "))
        for name, content in example.files.items():
            click.echo(f"\n  {name}:")
            for line in content.splitlines():
                click.echo(f"    {line}")
        click.echo(f"\n  producer {ctx.info_name} {_shell(example.arguments)}\n")
    ctx.exit()


def _shell(arguments: tuple[str, ...]) -> str:
    return " ".join(f'"{argument}"' if " " in argument else argument for argument in arguments)
