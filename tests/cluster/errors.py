"""The errors of the test cluster: everything a person can act on is a `ClusterError`."""

from __future__ import annotations


class ClusterError(Exception):
    """Something a person can put right; the message says what and how."""


class CommandFailed(ClusterError):
    """A program ended with an error, or ran for too long."""


class ComponentFailed(ClusterError):
    """A part of the node ended, or never became ready."""
