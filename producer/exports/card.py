"""The card of a data set: what is in it, where it comes from, how it is loaded."""

from collections import Counter
from collections.abc import Mapping, Sequence

from models.checkpoints import DEMO
from producer.exports.layouts import SHARD
from producer.exports.sample import TRAIN, Sample

#: Prompts that the card names; the rest stands in the metadata.
_SHOWN = 100
_LICENCES = {
    DEMO: "Apache-2.0, as Nightshift itself",
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "CreativeML OpenRAIL-M, which limits what its pictures are used for",
}
_LOADING = {
    "imagefolder": """\
from datasets import load_dataset

dataset = load_dataset("imagefolder", data_dir="FOLDER")""",
    "kohya": """\
# sd-scripts; in this folder is REPEATS_NAME, and captions are .txt files there
accelerate launch train_network.py --train_data_dir FOLDER/train --caption_extension .txt""",
    "webdataset": """\
import webdataset

dataset = webdataset.WebDataset("FOLDER/train-SHARDS.tar", shardshuffle=False).decode("pil")""",
}


def card(
    name: str,
    layout: str,
    samples: Sequence[Sample],
    checks: Mapping[str, Mapping[str, Mapping[str, object]] | None],
    remarks: Sequence[str] = (),
) -> str:
    """Return the card as Markdown; `checks` are the limits by which each batch was judged, `remarks` sentences."""
    splits = Counter(sample.split for sample in samples)
    times = [float(str(s.columns["total_s"])) for s in samples if "total_s" in s.columns]
    lines = [
        "---",
        "task_categories:",
        "- text-to-image",
        "tags:",
        "- synthetic",
        "---",
        f"# {name}",
        "",
        f"{len(samples):,} pictures made by Nightshift: "
        + ", ".join(f"{count:,} for {split}" for split, count in splits.items())
        + ". Pictures of one prompt are all on one side.",
        *remarks,
        "",
        "## Load it",
        "",
        "```",
        _LOADING[layout].replace("SHARDS", _shards(splits[TRAIN])),
        "```",
        "",
        "## Made with",
        "",
    ]
    made = Counter((str(s.columns["checkpoint"]), str(s.columns["revision"] or "not recorded")) for s in samples)
    for (checkpoint, revision), count in made.items():
        licence = _LICENCES.get(
            checkpoint, "see the checkpoint's own page; it may limit what the pictures are used for"
        )
        lines.append(f"- {checkpoint}, revision {revision}: {count:,} pictures. Licence: {licence}.")
    with_loras = Counter((str(s.columns["lora"]), str(s.columns["lora_sha256"])) for s in samples if s.columns["lora"])
    for (loras, digests), count in with_loras.items():
        lines.append(f"- With LoRA {plain(loras)} (sha256 {digests or 'not recorded'}): {count:,} pictures.")
    if times:
        lines.append(f"- {sum(times):,.0f} seconds in all, {sum(times) / len(times):.2f} a picture.")
    lines += ["", "## Checks", ""]
    for batch, limits in checks.items():
        said = "not judged" if not limits else "; ".join(_limits(check, found) for check, found in limits.items())
        lines.append(f"- {batch}: {said}")
    prompts: dict[str, list[str]] = {}
    for sample in samples:
        prompts.setdefault(str(sample.columns["prompt"]), []).append(str(sample.columns["seed"]))
    lines += ["", "## Prompts and seeds", ""]
    for prompt, seeds in list(prompts.items())[:_SHOWN]:
        shown = ", ".join(seeds[:5]) + (f" and {len(seeds) - 5:,} more" if len(seeds) > 5 else "")
        lines.append(f"- {plain(prompt)} ({shown})")
    if len(prompts) > _SHOWN:
        lines.append(f"- … and {len(prompts) - _SHOWN:,} more, in the metadata")
    return "\n".join(lines) + "\n"


def _shards(samples: int) -> str:
    """Return the numbers of so many samples' tar files, as WebDataset takes them."""
    last = max(0, samples - 1) // SHARD
    return f"{{{0:06d}..{last:06d}}}" if last else f"{0:06d}"


def _limits(check: str, limits: Mapping[str, object]) -> str:
    return check + (f" ({', '.join(f'{name} {value}' for name, value in limits.items())})" if limits else "")


def plain(text: str) -> str:
    """Return text that is no markup: a prompt may hold anything."""
    return "".join(
        f"\\{character}" if character in r"\`*_{}[]<>#|!" else character for character in " ".join(text.split())
    )
