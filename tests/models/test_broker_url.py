"""The broker's URL is taken or refused in one line, and nothing of it that may be secret is ever quoted."""

import pytest

from models.broker_url import secrets, shown_broker_url, why_unusable
from models.settings import load_settings
from models.types.errors import SettingsError

SECRET = "qzjxkvwyghpfmbdtlrcn"
GOOD = [
    "redis://127.0.0.1:6379/0",
    "redis://127.0.0.1",
    "redis://",
    "redis:///2",
    "redis://[::1]:6379/1",
    "rediss://host:6380/15?ssl_cert_reqs=required&ssl_ca_certs=/etc/ca.pem",
    "redis+socket:///run/redis.sock",
    "redis+socket://:{}@/run/redis.sock?virtual_host=3",
    "redis://:{}@host:6379/0",
    "redis://user:{}@host/0",
    "redis://{}@host/0",
    "redis://:{}%2F%23@host/0",
    "redis://:a@{}@host/0",
]
BAD = [
    ("redis://host/abc", "is not the number of a database"),
    ("redis://host/{}", "is not the number of a database"),
    ("redis://host/0/{}", "is not the number of a database"),
    ("redis://:{}/x@host:6379/0", "its password holds / # or ?"),
    ("redis://:x/{}@host:6379/0", "its password holds / # or ?"),
    ("redis://:x#{}@host:6379/0", "its password holds / # or ?"),
    ("redis://:{}?x@host:6379/0", "its password holds / # or ?"),
    ("redis://host:6379/0#{}", "has a # in it"),
    ("redis://:{}@host:99999/0", "its port is not a number from 1 to 65,535"),
    ("redis://host:{}/0", "its port is not a number"),
    ("redis://host:0/0", "its port is not a number"),
    ("redis://host:-1/0", "its port is not a number"),
    ("redis://host:/0", "its port is not a number"),
    ("redis://:6379/0", "names a port, but no host"),
    ("redis://[{}/0", "its host cannot be read"),
    ("redis://host/0?{}=1", "what stands behind its question mark is none of"),
    ("redis://host/0?password={}", "what stands behind its question mark is none of"),
    ("rediss://host/0?ssl_cert_reqs={}", "ssl_cert_reqs is none, optional or required"),
    ("redis+socket:///x?virtual_host={}", "virtual_host is the number of a database"),
    ("redis+socket://{}", "names no path of a socket"),
    ("unix:///{}", "unix:// is called redis+socket:// here"),
    ("http://{}", "begins with none of redis://, rediss://, redis+socket://"),
    ("{}://host", "begins with none of"),
    ("{}", "begins with none of"),
    ("", "begins with none of"),
    ("redis://:{} x@host/0", "has a blank or a control character"),
    ("redis://:{}\x1b@host/0", "has a blank or a control character"),
    ("amqp://guest:{}@host", "begins with none of"),
]


def leaks(text: str) -> list[str]:
    """Return each run of four letters of the secret that stands in a text."""
    return [SECRET[start : start + 4] for start in range(len(SECRET) - 3) if SECRET[start : start + 4] in text]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


@pytest.mark.parametrize("form", GOOD)
def test_what_kombu_takes_is_taken_and_shown_without_a_secret(form):
    from kombu import Connection

    url = form.format(SECRET)
    assert why_unusable(url) is None
    assert not leaks(shown_broker_url(url))
    assert not leaks(shown_broker_url(url).replace("***", ""))
    assert all(SECRET in one for one in secrets(url)) == (True if SECRET in url else secrets(url) == [])
    with Connection(url) as connection:
        assert connection.transport.driver_name == "redis"


@pytest.mark.parametrize(("form", "said"), BAD)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_what_cannot_be_used_is_one_line_that_quotes_nothing(tmp_path, monkeypatch, form, said, place):
    url = form.format(SECRET)
    if place == "environment":
        monkeypatch.setenv("NIGHTSHIFT_BROKER_URL", url)
    else:
        (tmp_path / ".env").write_text(f"NIGHTSHIFT_BROKER_URL='{url}'\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert said in message
    assert message.startswith("NIGHTSHIFT_BROKER_URL: ")
    assert "\n" not in message
    assert not leaks(message)
    assert not leaks(shown_broker_url(url))


@pytest.mark.parametrize("blanks", [" {}", "{} ", "\t{}\n"])
def test_blanks_around_it_do_not_count(monkeypatch, blanks):
    monkeypatch.setenv("NIGHTSHIFT_BROKER_URL", blanks.format("redis://host:6379/3"))
    assert load_settings().broker_url == "redis://host:6379/3"
