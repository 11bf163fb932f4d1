"""Settings: `NIGHTSHIFT_` environment variables and a `.env` file in the current folder."""

import os
import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.broker_url import why_unusable
from models.checkpoints import DEMO, STABLE_DIFFUSION_1_5, canonical_checkpoint, is_hub_id
from models.types.errors import CheckpointError, SettingsError
from models.types.fate import Tries
from models.types.message import DEFAULT_QUEUE, QUEUE_NAME
from models.types.printable import has_control_characters

PREFIX = "NIGHTSHIFT_"
ENV_FILE = ".env"
_URLS = ("broker_url", "database_url")
#: Where jobs, pictures and rows go, and whose weights and code are run: no file may set these without a word.
_WEIGHTY = (
    *("broker_url", "data_dir", "database_url", "pictures_url", "checkpoint", "checkpoint_folders", "lora_folders"),
    "single_file_config",
    "remote_control",
    "traces",
)
#: Read by docker-compose.yml.
_OF_OTHERS = {f"{PREFIX}REDIS_PORT"}
_LAST_PORT = 65_535
#: How a misspelt name begins.
_NEARLY = ("NIGHTSHIFT", "NIGHTSHFIT", "NIGHTSIFT", "NIGHSHIFT", "NIGHT_SHIFT")
#: From a URL's user to its last @, since a password may hold one; and what a query calls a password.
_PASSWORD = re.compile(r"(?<=://)([^:/@]*:).*@|((?:^|[?&;])\w*password=)[^&;]*", re.DOTALL | re.IGNORECASE)


class Settings(BaseSettings):
    """What a user may set; each field's description is what `docs/settings.md` says of it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True)

    broker_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis server that holds the queue; `rediss://` and `redis+socket://` work too",
    )
    data_dir: Path = Field(Path("~/nightshift"), description="folder of the SQLite file, pictures, logs")
    database_url: str = Field("", description="SQLAlchemy URL; empty: `nightshift.db` in the data folder")
    pictures_url: str = Field(
        "",
        description="where pictures are: `s3://bucket/prefix`, `gs://…`, `az://…`, a folder; empty: the data folder",
    )
    pictures_cache_gb: float = Field(
        1.0,
        ge=0,
        le=100_000,
        description="how much of an object store's pictures is kept on this disk, to be read again",
    )
    checkpoint: str = Field(STABLE_DIFFUSION_1_5, description="hub id, folder, `.safetensors` file, or `demo`")
    checkpoint_folders: str = Field(
        "",
        description="folders that jobs may take checkpoints from beside the hub's cache, `:` between; "
        "empty: `checkpoints` in the data folder",
    )
    lora_folders: str = Field(
        "", description="folders that jobs may take LoRAs from, `:` between; empty: `loras` in the data folder"
    )
    pin_checkpoint: bool = Field(False, description="refuse jobs that name another checkpoint")
    single_file_config: str = Field(
        STABLE_DIFFUSION_1_5, description="folder or hub id whose configs describe a `.safetensors` file"
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|mps|cuda(:\d+)?|cpu)$",
        description="`auto` (mps, then cuda, then cpu), `mps`, `cuda`, `cuda:N`, `cpu`; what is not there is an error",
    )
    dtype: Literal["auto", "float16", "bfloat16", "float32"] = Field(
        "auto",
        description="`auto`: float16 on mps and cuda, float32 on cpu; or `float16`, `bfloat16`, `float32`",
    )
    attention_slicing: bool = Field(False, description="less memory, slower; may give NaN on mps")
    safety_checker: bool = Field(False, description="fail a job whose picture the safety checker blocks")
    prompt_weights: bool = Field(
        True, description="`(word:1.3)`, `[word]` and `BREAK` in prompts count as in A1111; `false`: they are words"
    )
    warmup_steps: int = Field(2, ge=1, le=500, description="steps of the throw-away first generation")
    memory_sample_s: float = Field(0.05, ge=0.005, le=10, description="seconds between two memory samples")
    memory_guard: bool = Field(
        True, description="free memory between two jobs once the worker holds more than the limit"
    )
    memory_limit_gb: float = Field(
        0.0,
        ge=0,
        le=100_000,
        description="that limit, in units of 10^9 bytes; 0: 75 % of the machine's memory, or less where Metal says so",
    )
    queues: str = Field(
        DEFAULT_QUEUE,
        pattern=rf"^{QUEUE_NAME}(,{QUEUE_NAME})*$",
        description="queues that the worker takes jobs from, `,` between; `enqueue` and `run` use the first",
    )
    group_s: float = Field(
        600.0,
        ge=0,
        le=86_400,
        description="seconds for which jobs of one checkpoint and size may go before earlier others; 0: never",
    )
    pictures_a_call: int = Field(
        0,
        ge=0,
        le=64,
        description="how many jobs of one kind are made at once, a power of two, where as many wait; 0: the fastest",
    )
    tuning: bool = Field(
        True, description="find out how pictures are made in the least time, while they are made, and go by it"
    )
    heartbeat_s: float = Field(5.0, gt=0, le=600, description="seconds between two signs of life of a running job")
    stall_s: float = Field(
        60.0, gt=0, le=86_400, description="seconds without a sign of life after which another worker takes a job"
    )
    deadline_s: float = Field(3600.0, ge=0, description="seconds that a job may take; 0: as long as it likes")
    deadline_times: float = Field(
        20.0,
        ge=0,
        le=1_000_000,
        description="how many times as long as others of its kind a job may take, NIGHTSHIFT_HANG_S at least; 0: any",
    )
    hang_s: float = Field(
        600.0,
        gt=0,
        le=86_400,
        description="seconds without a step until the device counts as hung and the worker ends itself",
    )
    idle_s: float = Field(
        30.0,
        gt=0,
        le=86_400,
        description="seconds idle while messages wait until the worker connects anew, and then until it ends",
    )
    retries: int = Field(2, ge=0, le=100, description="how often a job is tried again after a fault that may pass")
    retry_s: float = Field(
        10.0, gt=0, le=3600, description="seconds until the first of those tries; each next one waits twice as long"
    )
    faults_in_a_row: int = Field(
        5,
        # At 2 a job that fails each time is failed by the boot that meets it first; at 1 it would go back for ever.
        ge=2,
        le=1000,
        description="attempts in a row that fail for no reason of their jobs until the worker ends itself",
    )
    quarantine_after: int = Field(
        3, ge=1, le=100, description="set a job aside when its worker went away this often while it ran"
    )
    keep_awake: bool = Field(
        True, description="keep the machine awake while there are jobs, by caffeinate or systemd-inhibit"
    )
    remote_control: bool = Field(
        False,
        description="let `celery inspect` and `celery control` reach the worker: whoever writes to Redis can end it",
    )
    celery_events: bool = Field(
        False, description="send Celery's own events of workers and tasks, which Flower and other monitors read"
    )
    metrics: str = Field(
        "",
        description="address such as `127.0.0.1:9464` at which a worker serves figures to Prometheus; empty: nowhere",
    )
    traces: str = Field(
        "",
        description="collector such as `http://127.0.0.1:4318` that gets OpenTelemetry's traces of jobs; empty: none",
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="the worker's log: `text`, or `json` lines, each with its [event](log_events.md)"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="`DEBUG` lets Celery, diffusers and the hub speak too"
    )

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: object, info: ValidationInfo) -> object:
        """Refuse what would be more than a value in a file that a service manager reads, or on a terminal."""
        # The broker's URL is looked at by itself, once the blanks around it are gone.
        if info.field_name != "broker_url" and isinstance(value, str) and has_control_characters(value):
            raise ValueError("holds a line break or another control character")
        return value

    @field_validator("broker_url")
    @classmethod
    def _usable(cls, value: str) -> str:
        value = value.strip()
        if wrong := why_unusable(value):
            raise ValueError(wrong)
        return value

    @field_validator("metrics")
    @classmethod
    def _an_address(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (host and port.isdecimal() and int(port) <= _LAST_PORT):
            raise ValueError("is no address; write HOST:PORT, such as 127.0.0.1:9464")
        return value

    @field_validator("traces")
    @classmethod
    def _a_collector(cls, value: str) -> str:
        if value and not re.match(r"https?://[^/]+", value):
            raise ValueError("is no address of a collector; write http://HOST:4318")
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().resolve()
        except (OSError, RuntimeError) as error:
            raise ValueError(str(error)) from None

    @field_validator("checkpoint")
    @classmethod
    def _canonical(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is empty; name a hub id, a folder, a .safetensors file, or demo")
        try:
            return canonical_checkpoint(value)
        except (OSError, RuntimeError) as error:
            raise ValueError(str(error)) from None

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        # These two would mean something in a URL; the rest of a path may stay as people know it.
        file = str(self.data_dir / "nightshift.db").replace("%", "%25").replace("?", "%3F")
        return self.database_url or f"sqlite:///{file}"

    @property
    def queue_names(self) -> list[str]:
        """The queues that the worker takes jobs from."""
        return list(dict.fromkeys(self.queues.split(",")))

    @property
    def tries(self) -> Tries:
        """How often a job is tried."""
        return Tries(self.retries, self.quarantine_after)

    @property
    def places_of_checkpoints(self) -> list[Path]:
        """The folders that jobs may take checkpoints from."""
        return _folders(self.checkpoint_folders) or [self.data_dir / "checkpoints"]

    @property
    def places_of_loras(self) -> list[Path]:
        """The folders that jobs may take LoRAs from."""
        return _folders(self.lora_folders) or [self.data_dir / "loras"]

    def require_allowed(self, checkpoint: str) -> None:
        """Refuse a checkpoint on this disk that jobs may not name; hub ids and the worker's own may always be named.

        Raises:
            CheckpointError: saying which folders there are, and what to do.
        """
        if checkpoint in (self.checkpoint, DEMO) or is_hub_id(checkpoint):
            return
        # `producer download` fetched what lies in the hub's cache: a name of the hub may be said with its revision so.
        from huggingface_hub.constants import HF_HUB_CACHE

        folders = self.places_of_checkpoints
        # Resolved, so that neither `..` nor a link leads out of them.
        place = Path(checkpoint).resolve()
        if not any(place.is_relative_to(folder.resolve()) for folder in [*folders, Path(HF_HUB_CACHE)]):
            raise CheckpointError(
                f"checkpoint {checkpoint} lies outside of {', '.join(map(str, folders))}, which is where jobs may take "
                "checkpoints from: move it there, or set NIGHTSHIFT_CHECKPOINT_FOLDERS for the worker"
            )

    def origin(self, name: str) -> str:
        """Say where the value of field `name` comes from: environment, `.env`, or default."""
        variable = (PREFIX + name).upper()
        if any(key.upper() == variable for key in os.environ):
            return "environment"
        if any(key.upper() == variable for key in dotenv_values(ENV_FILE)):
            return ENV_FILE
        return "default"


def _folders(named: str) -> list[Path]:
    return [Path(folder).expanduser() for folder in named.split(os.pathsep) if folder]


@cache
def load_settings() -> Settings:
    """Read the settings once for this process.

    Raises:
        SettingsError: naming each variable that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(map(_problem, error.errors(include_url=False)))) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{Path(ENV_FILE).absolute()} cannot be read: {error}") from None


def told_by_env_file() -> str | None:
    """Say what a `.env` file in the current folder sets of where data goes and what is run; None if it sets none of it.

    The folder may be anybody's, so this is said at every start.
    """
    given = {name.upper() for name in dotenv_values(ENV_FILE)} - {name.upper() for name in os.environ}
    names = [name for field in _WEIGHTY if (name := (PREFIX + field).upper()) in given]
    return f"{', '.join(names)}: set by {Path(ENV_FILE).absolute()}" if names else None


def unknown_names() -> list[str]:
    """Say which variables, of the environment or `.env`, begin as ours do and mean nothing, and what may be meant."""
    known = {(PREFIX + name).upper() for name in Settings.model_fields} | _OF_OTHERS
    names = dict.fromkeys(os.environ, "environment") | dict.fromkeys(dotenv_values(ENV_FILE), ENV_FILE)
    said = []
    for name, place in sorted(names.items()):
        if name.upper().startswith(_NEARLY) and name.upper() not in known:
            near = get_close_matches(name.upper(), known, 1, cutoff=0.8)
            said.append(f"{name} ({place}) is no setting" + (f"; {near[0]} is" if near else ""))
    return said


def _problem(error: ErrorDetails) -> str:
    name = str(error["loc"][0])
    # A URL may hold a password, and one that cannot be read may hold it anywhere.
    value = "" if name in _URLS else f"={error['input']!r}"
    return f"{PREFIX}{name.upper()}{value}: {error['msg'].removeprefix('Value error, ')}"


def without_password(url: str) -> str:
    """Return `url` as it may be shown: every password in it replaced by `***`."""
    if "://" not in url:
        return "(a URL that cannot be read)"
    return _PASSWORD.sub(lambda found: f"{found[1]}***@" if found[1] else f"{found[2]}***", url)
