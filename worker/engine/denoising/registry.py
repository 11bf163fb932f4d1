"""Which forms are tried on which device; a form that is not to the bit is of no use on the CPU."""

from worker.engine.denoising.attention import PaddedAttention, UnfusedAttention
from worker.engine.denoising.compiled import Compiled, CompiledIntoGraphs
from worker.engine.denoising.form import Form
from worker.engine.denoising.layout import ChannelsLast
from worker.engine.denoising.traced import Traced
from worker.engine.devices.cpu import Cpu
from worker.engine.devices.cuda import Cuda
from worker.engine.devices.device import Device
from worker.engine.devices.mps import Mps

#: In the order in which they are tried.
_FORMS: dict[str, tuple[type[Form], ...]] = {
    Cpu.kind: (Traced,),
    Mps.kind: (UnfusedAttention, PaddedAttention, ChannelsLast, Traced),
    Cuda.kind: (ChannelsLast, Traced, Compiled, CompiledIntoGraphs),
}


def forms_of(device: Device, *, is_packed: bool = False) -> list[Form]:
    """Return a form of each kind that may be faster on the device, new; torch cannot record what is packed."""
    return [form() for form in _FORMS[device.kind] if not (is_packed and form is Traced)]
