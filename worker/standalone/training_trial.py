"""What `producer train --dry-run` has a process of its own do: take some steps, to say how long all will take.

Prints a JSON object with `did` for each thing done, and last one that is a `Trial`, or has `error` where there is none.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from models.settings import Settings, load_settings
from models.types.errors import GenerationError, NightshiftError
from worker.log import configure_logging, quiet_libraries

quiet_libraries(load_settings())

from worker.engine.processors import Processors, set_waiting  # noqa: E402

# As a worker, which is as fast with another number of threads as these are with theirs.
_PROCESSORS = Processors() if set_waiting() else None

from models.training.config import TrainingConfig  # noqa: E402
from models.training.data_set import CaptionedPicture, read_data_set  # noqa: E402
from models.training.pictures import read_picture  # noqa: E402
from models.training.trial import Trial  # noqa: E402
from models.types.causes import Cause  # noqa: E402
from worker.engine.allocator import keep_memory  # noqa: E402
from worker.engine.devices.device import Device  # noqa: E402
from worker.engine.engine import Engine  # noqa: E402
from worker.engine.training.examples import EncodedExamples, Example  # noqa: E402
from worker.engine.training.parts import Parts  # noqa: E402
from worker.engine.training.session import TrainingSession, encode_all  # noqa: E402
from worker.standalone.answering import answer, only_answers  # noqa: E402
from worker.standalone.held_device import held_device  # noqa: E402

#: Steps that are taken; the first is left out of what is said.
_STEPS = 3
#: Pictures that are encoded, at most.
_PICTURES = 8


def try_steps(
    config: TrainingConfig,
    folder: Path,
    settings: Settings,
    make_engine: Callable[[Device, Settings], Engine],
    did: Callable[[str], None],
) -> Trial:
    """Take some steps with pictures of the folder, each of one batch, and throw away what was learnt.

    Where memory runs out and the configuration has it saved, they are taken once more so. `did` is told of each thing
    that is done.

    Raises:
        NightshiftError: if they cannot be taken, or a worker has the device.
    """
    # One that comes with several captions is encoded once.
    pictures = list({one.file: one for one in read_data_set(folder).learnt}.values())[:_PICTURES]
    one_batch = config.model_copy(update={"gradient_accumulation_steps": 1})
    with held_device(settings, _PROCESSORS) as device:
        engine = make_engine(device, settings)
        try:
            return _trial(engine, one_batch, pictures, settings, did, saves_memory=False)
        except GenerationError as error:
            if error.cause is not Cause.OUT_OF_MEMORY or not config.gradient_checkpointing:
                raise
        engine.end_session()
        did("memory ran out; once more with gradient checkpointing")
        return _trial(engine, one_batch, pictures, settings, did, saves_memory=True)


def _trial(
    engine: Engine,
    config: TrainingConfig,
    pictures: Sequence[CaptionedPicture],
    settings: Settings,
    did: Callable[[str], None],
    *,
    saves_memory: bool,
) -> Trial:
    encode_s = 0.0
    picture_bytes = 0

    def encoded(parts: Parts) -> tuple[EncodedExamples, None]:
        nonlocal encode_s, picture_bytes
        begun = time.perf_counter()
        did(f"loaded {config.model_id}")
        found, _ = encode_all(parts, config, _examples(pictures), None)
        encode_s = time.perf_counter() - begun
        picture_bytes = len(found.content()) // len(pictures)
        did(f"encoded {len(pictures)} pictures")
        return found, None

    def begin(pipeline: Any, device: Device, revision: str) -> TrainingSession:
        return TrainingSession(
            pipeline,
            device,
            config,
            revision,
            encoded=encoded,
            state=None,
            rate_share=1.0,
            saves_memory=saves_memory,
            memory_sample_s=settings.memory_sample_s,
        )

    begun = time.perf_counter()
    session = engine.session("trial", config.model_id, config.mixed_precision, begin)
    load_s = time.perf_counter() - begun - encode_s
    steps = count(1)
    # A step is of one batch here.
    taken = engine.in_session(
        lambda: session.train(_STEPS, lambda: did(f"took step {next(steps)} of {_STEPS}"), lambda: False)
    )
    assert taken.step_s is not None
    each = 2 if config.random_flip else 1
    return Trial(
        load_s=load_s,
        encode_s=encode_s / len(pictures) / each,
        batch_s=taken.step_s,
        saves_memory=saves_memory,
        peak_bytes=taken.peak.rss if taken.peak.device_driver is None else taken.peak.device_driver,
        state_bytes=len(session.state()),
        lora_bytes=sum(map(len, session.lora({}))),
        picture_bytes=picture_bytes // each,
    )


def _examples(pictures: Sequence[CaptionedPicture]) -> Iterator[Example]:
    for one in pictures:
        yield Example(read_picture(one.file), one.caption)


def main(make_engine: Callable[[Device, Settings], Engine] = Engine) -> None:
    """Try the configuration that the first argument is, as JSON, with the pictures of the folder that the second is."""
    keep_memory()
    settings = load_settings().model_copy(update={"log_level": "ERROR"})
    configure_logging(settings)
    try:
        config, folder = TrainingConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2])
        with only_answers():
            tried = try_steps(config, folder, settings, make_engine, lambda what: answer({"did": what}))
        found: dict[str, object] = asdict(tried)
    except (NightshiftError, RuntimeError, OSError) as error:
        found = {"error": " ".join(str(error).split())}
    answer(found)


if __name__ == "__main__":
    main()
