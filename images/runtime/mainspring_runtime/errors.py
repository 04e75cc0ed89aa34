"""How a Job fails.

    JobError
    ├── PermanentError   the input must change first: bad spec, bad data, a changed byte
    └── RetryableError   another attempt may succeed: network, object store, API server

Raised by every command, turned into a termination message and an exit code by `__main__`. A reason is one CamelCase
word for machines; a message is a sentence for people that names the field, column or object and the next step.
"""

from __future__ import annotations

from collections.abc import Sequence


class JobError(Exception):
    """A failure with a name. `details` are named offenders (columns, files, checks); the first ten are reported."""

    def __init__(self, reason: str, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.details = tuple(details)


class PermanentError(JobError):
    """The same input will fail again."""


class RetryableError(JobError):
    """Something outside the input failed."""
