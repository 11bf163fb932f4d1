"""LoRAs that jobs name and that are not on this machine."""

from collections.abc import Iterator

from models.checkpoints import is_hub_id
from models.lora_files import local_lora, missing_lora
from models.settings import Settings
from models.types.errors import LoraError
from producer.planning.plan import Plan


def lacking_loras(plan: Plan, settings: Settings) -> Iterator[tuple[int | None, str]]:
    """Yield the line that names one first, and what there is to say of it; hub ids are the worker's matter."""
    folders = settings.places_of_loras
    for name, line in plan.loras.items():
        try:
            found = local_lora(name, folders)
        except LoraError as error:
            yield line, str(error)
            continue
        if found is None and not is_hub_id("/".join(name.split("/")[:2])):
            yield line, str(missing_lora(name, folders))
