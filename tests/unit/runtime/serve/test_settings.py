from __future__ import annotations

import pytest

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.serve.settings import Settings, Verification, from_environment

REQUIRED = {
    "MAINSPRING_MODEL_NAME": "tumours",
    "MAINSPRING_MODEL_VERSION": "7",
    "MAINSPRING_MODEL_URI": "s3://models/tumours/",
    "MAINSPRING_MODEL_DIGEST": "sha256:abc",
}


def test_what_is_not_set_has_its_default() -> None:
    assert from_environment(REQUIRED) == Settings(
        "tumours", "7", "s3://models/tumours/", "sha256:abc", (), False, 8080, 8081
    )


def test_everything_can_be_set() -> None:
    settings = from_environment(
        REQUIRED
        | {
            "MAINSPRING_TRUSTED_TYPES": '["a.B", "c.D"]',
            "MAINSPRING_ALLOW_PICKLE": "true",
            "MAINSPRING_PORT": "9000",
            "MAINSPRING_INTERNAL_PORT": "0",
            "MAINSPRING_FEEDBACK_KEY": "long enough to be a key",
            "MAINSPRING_VERIFICATION_SECRET": "model-signing",
            "MAINSPRING_PUBLIC_KEY": "PEM",
        }
    )
    assert (settings.trusted_types, settings.allow_pickle) == (("a.B", "c.D"), True)
    assert (settings.port, settings.internal_port) == (9000, 0)
    assert settings.verification == Verification("model-signing", "PEM")
    assert settings.feedback_key == "long enough to be a key"
    assert "long enough" not in repr(settings), "logs are read by many"


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(PermanentError, match=f"{name} is not set"):
        from_environment(REQUIRED | {name: ""})


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("MAINSPRING_TRUSTED_TYPES", "a.B", "is not JSON"),
        ("MAINSPRING_TRUSTED_TYPES", '{"a": 1}', "must be a JSON list of strings"),
        ("MAINSPRING_TRUSTED_TYPES", "[1]", "must be a JSON list of strings"),
        ("MAINSPRING_ALLOW_PICKLE", "yes", "must be true or false, got 'yes'"),
        ("MAINSPRING_PORT", "http", "must be a port"),
        ("MAINSPRING_PORT", "65536", "must be a port"),
        ("MAINSPRING_INTERNAL_PORT", "-1", "must be a port"),
        ("MAINSPRING_FEEDBACK_KEY", "guess me", "must have at least 16 characters, got 8$"),
    ],
)
def test_an_invalid_variable_is_named(name: str, value: str, problem: str) -> None:
    with pytest.raises(PermanentError, match=f"{name} {problem}") as caught:
        from_environment(REQUIRED | {name: value})
    assert caught.value.reason == "InvalidEnvironment"
