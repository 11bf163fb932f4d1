"""What is trained: a low-rank change beside each of the named layers, in float32 whatever the weights are in."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from diffusers.utils import recurse_remove_peft_layers
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from models.training.config import TrainingConfig
from models.types.errors import TrainingError
from worker.engine.training.parts import Parts

NAME = "trained"
#: The attention and the two layers behind it, which a new word needs: with attention alone it is hardly learnt.
_OF_TEXT_ENCODER = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")


class Adapters:
    """Adds them to a pipeline's parts; the weights beside them are left alone."""

    def __init__(self, parts: Parts, config: TrainingConfig) -> None:
        """Add those that the configuration names; drawn by torch's own generator, and without effect at first.

        Raises:
            TrainingError: a part has no such layer.
        """
        self.configs = {"unet": _config(config, config.lora_target_modules)}
        self._parts = {"unet": parts.unet}
        if config.train_text_encoder:
            self.configs["text_encoder"] = _config(config, _OF_TEXT_ENCODER)
            self._parts["text_encoder"] = parts.text_encoder
        _require_layers(parts.unet, config.lora_target_modules)
        for name, part in self._parts.items():
            part.add_adapter(self.configs[name], adapter_name=NAME)
            for parameter in _trained(part):
                parameter.data = parameter.data.to(torch.float32)

    def parameters(self, part: str) -> list[nn.Parameter]:
        """Return what is trained of a part, always in the same order."""
        return list(_trained(self._parts[part])) if part in self._parts else []

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Return the changes by part and layer, copied to the CPU; names are PEFT's."""
        return {
            name: {
                key: value.detach().to("cpu").clone().contiguous()
                for key, value in get_peft_model_state_dict(part, adapter_name=NAME).items()
            }
            for name, part in self._parts.items()
        }

    def put(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Have changes that `tensors` returned."""
        for name, part in self._parts.items():
            set_peft_model_state_dict(part, dict(tensors[name]), adapter_name=NAME)

    def set_training(self, *, on: bool) -> None:
        """Have dropout leave values out, or none."""
        for part in self._parts.values():
            part.train(on)

    def remove(self) -> None:
        """Leave the parts as they were."""
        for part in self._parts.values():
            # Deleting the adapter would leave each layer wrapped.
            recurse_remove_peft_layers(part)
            part.peft_config = {}
            part._hf_peft_config_loaded = False
            part.eval()


def _require_layers(unet: nn.Module, layers: Iterable[str]) -> None:
    """Raise TrainingError for a name of which PEFT would find no layer; where it finds others, it would not say so."""
    names = [name for name, module in unet.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    missing = [layer for layer in layers if not any(name == layer or name.endswith(f".{layer}") for name in names)]
    if missing:
        raise TrainingError(
            f"lora_target_modules: the UNet has no layer {' and none '.join(missing)} that a LoRA can change"
        )


def _config(config: TrainingConfig, layers: tuple[str, ...]) -> LoraConfig:
    return LoraConfig(
        r=config.lora_rank,
        # It divides by the rank, and takes any number.
        lora_alpha=config.lora_alpha,  # type: ignore[arg-type]
        lora_dropout=config.lora_dropout,
        target_modules=list(layers),
        init_lora_weights=True,
    )


def _trained(part: nn.Module) -> Iterator[nn.Parameter]:
    return (parameter for name, parameter in part.named_parameters() if f".{NAME}." in name)
