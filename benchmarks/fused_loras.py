"""Whether a LoRA is better added to the weights or computed beside them: `python -m benchmarks.fused_loras`.

The UNet of Stable Diffusion 1.5's architecture with random weights, and two LoRAs of rank 8 on all of its attention.
Added to the weights, a step takes as long as without; a switch writes those weights. Computed beside them, a switch
takes nothing and each step computes two more products a layer. Both kinds of step are timed in turn, and switches
between. Prints how many steps with one LoRA repay a switch, and JSON last.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn

from models.types.lora import Lora
from worker.engine.allocator import keep_memory
from worker.engine.loras.fused import FusedLoras, LoraFiles
from worker.engine.loras.layouts import Change, changes

_RANK = 8
_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")


def main() -> None:
    """Measure both, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--size", type=int, default=256, help="width and height of the pictures")
    parser.add_argument("--rounds", type=int, default=8)
    asked = parser.parse_args()
    keep_memory()
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768).eval().requires_grad_(requires_grad=False)
    latents = torch.randn(2, 4, asked.size // 8, asked.size // 8)
    texts = torch.randn(2, 77, 768)

    def step() -> float:
        # The first one after a switch finds the caches of the processor cold, either way.
        return [_seconds(lambda: unet(latents, 500, texts)) for _ in range(2)][-1]

    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2):
            _write(Path(folder, f"{number}.safetensors"), unet, number)
        files, fused = LoraFiles([Path(folder)]), FusedLoras({"unet": unet})
        loras = [Lora(str(number), 1.0) for number in (1, 2)]
        rounds = []
        for number in range(asked.rounds + 1):
            switch = _seconds(lambda: fused.use([loras[number % 2]], files))  # noqa: B023
            added = step()
            fused.use([], files)
            with _beside(changes(files.read(loras[number % 2].name), {"unet": unet})):
                rounds.append((switch, added, step()))
    # The first round reads the files and warms up.
    switches, added_s, beside_s = (list(each) for each in zip(*rounds[1:], strict=True))
    ratio = statistics.median(b / a for a, b in zip(added_s, beside_s, strict=True))
    switch_s, step_s = statistics.median(switches), statistics.median(added_s)
    print(f"a switch, added to the weights    {switch_s:8.3f} s")
    print(f"a step, added to the weights      {step_s:8.3f} s")
    print(f"a step, beside them / added       {ratio:8.3f} (median of {asked.rounds} rounds)")
    repaid = switch_s / (step_s * (ratio - 1)) if ratio > 1 else None
    print(f"steps that repay a switch         {'none do' if repaid is None else f'{repaid:8.0f}'}")
    print(json.dumps({**vars(asked), "switch_s": switches, "added_s": added_s, "beside_s": beside_s, "ratio": ratio}))


def _write(file: Path, unet: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for name, module in unet.named_modules():
        if isinstance(module, nn.Linear) and name.endswith(_LAYERS):
            out, into = module.weight.shape
            tensors[f"unet.{name}.lora_A.weight"] = torch.randn(_RANK, into, generator=generator) * 0.02
            tensors[f"unet.{name}.lora_B.weight"] = torch.randn(out, _RANK, generator=generator) * 0.02
            tensors[f"unet.{name}.alpha"] = torch.tensor(16.0)
    save_file(tensors, file)


@contextmanager
def _beside(wanted: dict[nn.Module, Change]) -> Iterator[None]:
    """Have each layer add the LoRA's product to what it returns."""
    handles = [module.register_forward_hook(_add(change)) for module, change in wanted.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _add(change: Change) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    down, up = change.down.T.contiguous(), (change.up * change.factor).T.contiguous()
    return lambda _module, inputs, result: result + inputs[0] @ down @ up


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    with torch.no_grad():
        work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
