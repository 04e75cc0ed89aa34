"""Commands, exit codes and the explanation of failures."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from mainspring.api import contract
from mainspring_runtime import __main__ as entry
from mainspring_runtime.errors import PermanentError, RetryableError


def command(monkeypatch: pytest.MonkeyPatch, failure: BaseException | None) -> list[list[str]]:
    """Put a module in the place of `prepare` that records its arguments and fails as told."""
    calls: list[list[str]] = []
    module = ModuleType("stand_in")

    def main(argv: list[str]) -> None:
        calls.append(argv)
        if failure:
            raise failure

    module.main = main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "stand_in", module)
    monkeypatch.setitem(entry.COMMANDS, "prepare", "stand_in")
    return calls


def test_a_command_gets_its_name_and_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = command(monkeypatch, None)
    assert entry.main(["prepare", "--work", "/tmp"]) == 0
    assert calls == [["prepare", "--work", "/tmp"]]


@pytest.mark.parametrize(
    ("failure", "code", "reason"),
    [
        (PermanentError("MissingColumn", "no such column", ["x"]), contract.EXIT_PERMANENT, "MissingColumn"),
        (RetryableError("SourceUnavailable", "no route"), contract.EXIT_RETRYABLE, "SourceUnavailable"),
        (MemoryError(), contract.EXIT_RETRYABLE, "OutOfMemory"),
    ],
)
def test_failures_have_an_exit_code_and_an_outcome(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: BaseException, code: int, reason: str
) -> None:
    command(monkeypatch, failure)
    assert entry.main(["prepare"]) == code
    printed = capsys.readouterr()
    outcome = contract.Outcome.model_validate_json(printed.out)
    assert (outcome.outcome, outcome.reason) == ("Failed", reason)
    assert printed.err.startswith(f"{reason}: ")


@pytest.mark.parametrize("argv", [[], ["unknown"], ["--help"]])
def test_other_words_print_the_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(argv) == 2
    assert (
        "usage: python -m mainspring_runtime {prepare,train,fetch,publish,check-signing-key,sign,evaluate,join,serve,package}"
        in capsys.readouterr().err
    )


def test_a_bug_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, ZeroDivisionError("by zero"))
    with pytest.raises(ZeroDivisionError):
        entry.main(["prepare"])


def test_a_bug_is_reported_with_type_message_and_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        entry.report_bug(type(error), error, error.__traceback__)
    printed = capsys.readouterr()
    outcome = contract.Outcome.model_validate_json(printed.out)
    assert (outcome.reason, outcome.message) == ("InternalError", "ZeroDivisionError: division by zero")
    assert "Traceback (most recent call last)" in printed.err


def test_an_interrupt_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    entry.report_bug(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().out == ""
