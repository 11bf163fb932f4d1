"""Settings: where each value comes from, what is refused, and that no password is ever shown."""

from pathlib import Path

import pytest

from models.checkpoints import STABLE_DIFFUSION_1_5
from models.records.database import Database
from models.settings import Settings, load_settings, told_by_env_file, unknown_names, without_password
from models.types.errors import CheckpointError, DatabaseError, SettingsError

SECRET = "hidden-word"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder without a .env file, which is also the home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    load_settings.cache_clear()
    yield tmp_path
    load_settings.cache_clear()


def test_the_defaults_need_nothing_set(here):
    settings = load_settings()
    assert settings.broker_url == "redis://127.0.0.1:6379/0"
    assert settings.data_dir == here / "nightshift"
    assert settings.database == f"sqlite:///{here}/nightshift/nightshift.db"
    assert (settings.checkpoint, settings.device, settings.dtype) == (STABLE_DIFFUSION_1_5, "auto", "auto")
    assert {settings.origin(name) for name in Settings.model_fields} == {"default"}


@pytest.mark.parametrize("name", ["NIGHTSHIFT_WARMUP_STEPS", "nightshift_warmup_steps"])
def test_the_environment_wins_over_the_file_and_the_file_over_the_default(monkeypatch, name):
    Path(".env").write_text("NIGHTSHIFT_WARMUP_STEPS=7\nNIGHTSHIFT_DTYPE=float16\nOTHER=1\nNIGHTSHIFT_UNKNOWN=1\n")
    monkeypatch.setenv(name, "3")
    settings = load_settings()
    assert (settings.warmup_steps, settings.origin("warmup_steps")) == (3, "environment")
    assert (settings.dtype, settings.origin("dtype")) == ("float16", ".env")
    assert (settings.heartbeat_s, settings.origin("heartbeat_s")) == (5.0, "default")


def test_paths_are_made_absolute_and_the_moved_repository_renamed(here, monkeypatch):
    monkeypatch.setenv("NIGHTSHIFT_DATA_DIR", "night data")
    monkeypatch.setenv("NIGHTSHIFT_CHECKPOINT", "runwayml/stable-diffusion-v1-5")
    settings = load_settings()
    assert settings.data_dir == here / "night data"
    assert settings.database == f"sqlite:///{here}/night data/nightshift.db"
    assert settings.checkpoint == STABLE_DIFFUSION_1_5


def test_a_database_that_is_named_is_used(monkeypatch):
    monkeypatch.setenv("NIGHTSHIFT_DATABASE_URL", "sqlite:////tmp/other.db")
    assert load_settings().database == "sqlite:////tmp/other.db"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEVICE", "tpu"), ("DEVICE", "cuda:x"), ("DTYPE", "int8"), ("WARMUP_STEPS", "0"), ("WARMUP_STEPS", "many"),
        ("MEMORY_SAMPLE_S", "0"), ("MEMORY_SAMPLE_S", "nan"), ("HEARTBEAT_S", "0"), ("HEARTBEAT_S", "inf"),
        ("LOG_FORMAT", "xml"), ("LOG_LEVEL", "TRACE"), ("PIN_CHECKPOINT", "perhaps"), ("CHECKPOINT", " "),
        ("MEMORY_LIMIT_GB", "-1"), ("MEMORY_LIMIT_GB", "inf"),
        ("CHECKPOINT", "~nobody-here/model"), ("DATA_DIR", "~nobody-here/data"), ("DTYPE", "a\nb"),
    ],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_value_that_cannot_be_used_names_its_variable_in_one_line(monkeypatch, name, value, place):
    if place == "environment":
        monkeypatch.setenv(f"NIGHTSHIFT_{name}", value)
    else:
        Path(".env").write_text(f'NIGHTSHIFT_{name}="{value}"\n')
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"NIGHTSHIFT_{name}={value!r}: ")
    assert "\n" not in str(caught.value)


def test_a_misspelt_name_is_told_of_with_what_may_be_meant(monkeypatch):
    monkeypatch.setenv("NIGHTSHIFT_CHEKPOINT", "demo")
    monkeypatch.setenv("NIGHTSHIFT_REDIS_PORT", "6379")
    monkeypatch.setenv("NIGHTSHIFT_WARMUP_STEPS", "3")
    Path(".env").write_text("nightshift_devise=cpu\nNIGHTSHIFTBROKER_URL=x\nOTHER=1\n")
    assert unknown_names() == [
        "NIGHTSHIFTBROKER_URL (.env) is no setting; NIGHTSHIFT_BROKER_URL is",
        "NIGHTSHIFT_CHEKPOINT (environment) is no setting; NIGHTSHIFT_CHECKPOINT is",
        "nightshift_devise (.env) is no setting; NIGHTSHIFT_DEVICE is",
    ]


def test_every_bad_value_is_named_at_once(monkeypatch):
    for name in ("DEVICE", "DTYPE", "LOG_LEVEL"):
        monkeypatch.setenv(f"NIGHTSHIFT_{name}", "x")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [part.split("=")[0] for part in str(caught.value).split("; ")] == [
        "NIGHTSHIFT_DEVICE",
        "NIGHTSHIFT_DTYPE",
        "NIGHTSHIFT_LOG_LEVEL",
    ]


@pytest.mark.parametrize("value", ["9464", ":9464", "host:", "host:65536", "host:http", "[::1]"])
def test_an_address_for_figures_that_is_none_is_named(here, monkeypatch, value):
    monkeypatch.setenv("NIGHTSHIFT_METRICS", value)
    with pytest.raises(SettingsError, match=r"NIGHTSHIFT_METRICS='.*': is no address; write HOST:PORT, such as 127"):
        load_settings()


@pytest.mark.parametrize("value", ["", "127.0.0.1:9464", "[::1]:9464", "0.0.0.0:1"])
def test_an_address_for_figures_is_a_host_and_a_port(here, monkeypatch, value):
    monkeypatch.setenv("NIGHTSHIFT_METRICS", value)
    assert load_settings().metrics == value


def test_a_file_in_another_encoding_is_named(here):
    Path(".env").write_bytes(b"# Gr\xf6\xdfe\nNIGHTSHIFT_DEVICE=cpu\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{here}/.env cannot be read: ")
    assert "\n" not in str(caught.value)


def test_producer_says_which_setting_is_wrong_and_ends(producer):
    done = producer("status", NIGHTSHIFT_DEVICE="tpu")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("producer: NIGHTSHIFT_DEVICE='tpu': ")
    assert len(done.stderr.splitlines()) == 1


URLS = [
    (f"redis://:{SECRET}@host:6379/0", "redis://:***@host:6379/0"),
    (f"rediss://user:{SECRET}@host/0", "rediss://user:***@host/0"),
    (f"redis+socket://:{SECRET}@/run/redis.sock", "redis+socket://:***@/run/redis.sock"),
    (f"postgresql+psycopg://user:{SECRET}@host:5432/night", "postgresql+psycopg://user:***@host:5432/night"),
    (f"postgresql://user:a@{SECRET}@host/night", "postgresql://user:***@host/night"),
    (f"postgresql://user:{SECRET}:/?#@host/night", "postgresql://user:***@host/night"),
    (f"postgresql://user:{SECRET}@host:port/night", "postgresql://user:***@host:port/night"),
    (f"postgresql://host/night?password={SECRET}", "postgresql://host/night?password=***"),
    (f"postgresql://host/n?user=me&sslpassword={SECRET}&a=b", "postgresql://host/n?user=me&sslpassword=***&a=b"),
    (f"postgresql://u:{SECRET}@h/n?PASSWORD={SECRET}", "postgresql://u:***@h/n?PASSWORD=***"),
    (f"sentinel://:{SECRET}@a:1;sentinel://:{SECRET}@b:2", "sentinel://:***@b:2"),
    (f"user:{SECRET}@host", "(a URL that cannot be read)"),
    (SECRET, "(a URL that cannot be read)"),
]


@pytest.mark.parametrize(("url", "shown"), URLS)
def test_a_password_in_a_url_is_never_shown(url, shown):
    assert without_password(url) == shown


@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1:6379/0", "redis://user@host/0", "sqlite:////home/a@b/x:y.db", "postgresql:///n?host=/tmp/a"],
)
def test_a_url_without_a_password_is_shown_as_it_is(url):
    assert without_password(url) == url


# Nobody listens on port 1.
WRONG = [
    f"postgresql+psycopg://user:{SECRET}@127.0.0.1:1/night",
    f"postgresql+psycopg://user@127.0.0.1:1/night?password={SECRET}",
    f"postgresql+psycopg://user:{SECRET}@127.0.0.1:1/night?unknown=1",
    f"postgresql+psycopg://user:{SECRET}@127.0.0.1:port/night",
    f"postgresql+psycopg://user:a@{SECRET}@127.0.0.1:1/night",
    f"postgresql+psycopg://user:a:{SECRET}@127.0.0.1:1/night",
    f"postgresql+absent://user:{SECRET}@127.0.0.1:1/night",
    f"absent://user:{SECRET}@127.0.0.1:1/night",
    SECRET,
    "sqlite://",
    "sqlite:///:memory:",
]


@pytest.mark.parametrize("url", WRONG)
def test_a_database_url_that_is_wrong_is_one_line_without_its_password(url):
    if url.startswith("postgresql+psycopg"):
        pytest.importorskip("psycopg", reason="psycopg, PostgreSQL's driver, is not installed")
    with pytest.raises(DatabaseError) as caught:
        Database(url)
    message = str(caught.value)
    assert SECRET not in message
    assert "\n" not in message
    assert "NIGHTSHIFT_DATABASE_URL" in message


def test_producer_shows_no_password_of_a_database_that_does_not_answer(producer):
    pytest.importorskip("psycopg", reason="psycopg, PostgreSQL's driver, is not installed")
    for command in ("status", "doctor"):
        done = producer(command, NIGHTSHIFT_DATABASE_URL=WRONG[0])
        assert done.returncode == 1
        assert SECRET not in done.stdout + done.stderr
        assert "postgresql+psycopg://user:***@127.0.0.1:1/night" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "name", [name for name, field in Settings.model_fields.items() if field.annotation in (str, Path)]
)
@pytest.mark.parametrize("bad", ["x\ny", "x\ry", "x\x1b[2J", "x\x7f"])
def test_no_setting_holds_a_control_character(monkeypatch, name, bad):
    value = f"redis://{bad}/0" if name == "broker_url" else bad
    monkeypatch.setenv(f"NIGHTSHIFT_{name.upper()}", value)
    with pytest.raises(SettingsError, match="control character") as caught:
        load_settings()
    assert len(str(caught.value).splitlines()) == 1


def test_what_a_file_sets_of_weight_is_said(monkeypatch, here):
    assert told_by_env_file() is None
    Path(".env").write_text("NIGHTSHIFT_HANG_S=5\n")
    assert told_by_env_file() is None
    Path(".env").write_text("NIGHTSHIFT_BROKER_URL=redis://:hidden-word@host/0\nnightshift_data_dir=x\n")
    assert told_by_env_file() == f"NIGHTSHIFT_BROKER_URL, NIGHTSHIFT_DATA_DIR: set by {here / '.env'}"
    # Whoever sets it in the environment knows of it.
    monkeypatch.setenv("NIGHTSHIFT_BROKER_URL", "redis://other/0")
    assert told_by_env_file() == f"NIGHTSHIFT_DATA_DIR: set by {here / '.env'}"


def test_jobs_may_take_what_lies_in_the_hubs_cache_and_nothing_beside_it(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    found = settings(data_dir=tmp_path / "data")
    found.require_allowed(str(tmp_path / "hub" / "models--owner--name" / "snapshots" / "c0ffee"))
    found.require_allowed(str(tmp_path / "data" / "checkpoints" / "shoes"))
    for outside in ("hub-2/shoes", "shoes", "hub/../shoes"):
        with pytest.raises(CheckpointError, match="lies outside of"):
            found.require_allowed(str(tmp_path / outside))
