from __future__ import annotations

import pytest

from mainspring_runtime.errors import PermanentError
from mainspring_runtime.serve.settings import Limits, Server, Settings, Verification, from_environment

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
        ("MAINSPRING_PAYLOAD_LOG", "{}", "is not what it should be: .*uri"),
        ("MAINSPRING_SERVER", "much", "is not what it should be: JSON is malformed"),
        ("MAINSPRING_SERVER", '{"maxQueue": 0}', r"is not what it should be: Expected `int` >= 1 - at `\$.maxQueue`"),
        ("MAINSPRING_SERVER", '{"requestSeconds": -1}', r"is not what it should be: .* - at `\$.requestSeconds`"),
        ("MAINSPRING_SERVER", '{"warmup": "no"}', r"is not what it should be: .* - at `\$.warmup`"),
    ],
)
def test_an_invalid_variable_is_named(name: str, value: str, problem: str) -> None:
    with pytest.raises(PermanentError, match=f"{name} {problem}") as caught:
        from_environment(REQUIRED | {name: value})
    assert caught.value.reason == "InvalidEnvironment"


def test_limits_are_the_defaults_but_for_what_was_set() -> None:
    server = from_environment(REQUIRED | {"MAINSPRING_SERVER": '{"maxQueue": 7, "another": 1}'}).server
    assert server == Server(max_queue=7)
    assert server.limits(Limits(batch_rows=3)) == Limits(batch_rows=3, queue_requests=7)


def test_a_request_of_as_many_rows_as_allowed_fits_into_the_queue() -> None:
    assert Server(max_rows=200_000).limits(Limits()).queue_rows == 200_000
