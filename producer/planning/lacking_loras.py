"""LoRAs that jobs name and that are not on this machine."""

from collections.abc import Iterator

from models.lora_files import find_lora
from models.settings import Settings
from models.types.errors import LoraError
from producer.planning.plan import Plan


def lacking_loras(plan: Plan, settings: Settings) -> Iterator[tuple[int | None, str]]:
    """Yield the line that names one first, and what there is to say of it."""
    for name, line in plan.loras.items():
        try:
            find_lora(name, settings.places_of_loras)
        except LoraError as error:
            yield line, str(error)
