"""The environment: read once, every mistake at once, no secret in any message."""

from pathlib import Path

import pytest

from gateway.settings import READERS, SettingsError, load_settings


def test_an_empty_environment_is_the_defaults() -> None:
    settings = load_settings({"ASPENDOS_PORT": " ", "HOME": "/root"})
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8080, 1)
    assert settings.database == f"sqlite:///{Path('.aspendos/aspendos.db')}"
    assert settings.max_body == 32 * 1024 * 1024


def test_what_is_set_is_read() -> None:
    settings = load_settings(
        {
            "ASPENDOS_PORT": "9000",
            "ASPENDOS_MAX_BODY": "1m",
            "ASPENDOS_BODY_TIMEOUT": "2.5s",
            "ASPENDOS_DRAIN_DELAY": "5",
            "ASPENDOS_DATABASE_URL": "postgresql://u:p@h/d",
            "ASPENDOS_WORKERS": "3",
            "ASPENDOS_FSYNC": "Always",
        }
    )
    assert (settings.port, settings.max_body, settings.body_timeout) == (9000, 1024 * 1024, 2.5)
    assert settings.drain_delay == 5.0
    assert load_settings({"ASPENDOS_DRAIN_DELAY": "0"}).drain_delay == 0.0
    assert (settings.database, settings.workers, settings.fsync) == ("postgresql://u:p@h/d", 3, "always")


def test_every_mistake_is_reported_and_no_secret_is_shown() -> None:
    wrong = {
        "ASPENDOS_PORT": "70000",
        "ASPENDOS_MAX_BODY": "-1",
        "ASPENDOS_WORKERS": "0",
        "ASPENDOS_BODY_TIMEOUT": "soon",
        "ASPENDOS_DRAIN_DELAY": "-1",
        "ASPENDOS_FSYNC": "maybe",
        "ASPENDOS_ADMIN_KEY": "hunter2",
        "ASPENDOS_DATABASE_URL": "mysql://user:hunter2@host/db",
        "ASPENDOS_PROT": "1",
    }
    with pytest.raises(SettingsError) as caught:
        load_settings(wrong)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(wrong)
    assert all(any(line.startswith(name) for line in lines) for name in wrong)
    assert "hunter2" not in str(caught.value)


def test_settings_hide_their_secrets() -> None:
    settings = load_settings({"ASPENDOS_ADMIN_KEY": "hunter2-hunter2-hunter2"})
    assert settings.admin_key == "hunter2-hunter2-hunter2"
    assert "hunter2" not in repr(settings)


def test_every_variable_sets_a_field() -> None:
    defaults = load_settings({})
    assert all(hasattr(defaults, field) for field, _, _ in READERS.values())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ASPENDOS_PORT", "expected a port number from 0 to 65535"),
        ("ASPENDOS_WORKERS", "expected a whole number above zero"),
        ("ASPENDOS_MAX_BODY", "expected a size above zero, such as 33554432 or 32m"),
        ("ASPENDOS_BODY_TIMEOUT", "expected seconds above zero, such as 30 or 0.5"),
    ],
)
@pytest.mark.parametrize("text", ["lots", "m", "1.5.2", "-3"])
def test_what_is_no_number_is_told_in_words(name: str, expected: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: text})
    assert str(caught.value) == f"{name} is {text!r}: {expected}"


def test_no_reader_speaks_of_python() -> None:
    for name in READERS:
        try:
            load_settings({name: "lots of words"})
        except SettingsError as error:
            for words in ("invalid literal", "could not convert"):
                assert words not in str(error)
