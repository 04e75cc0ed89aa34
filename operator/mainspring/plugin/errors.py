"""What can go wrong for a person, each as one sentence that says what to do.

PluginError
├── NoCluster      no kubeconfig, no such context, no answer
├── NotInstalled   the API server does not know the kind
├── Forbidden      it knows the user and says no, or does not know the user
└── NotFound       no object of that name
"""

from __future__ import annotations


class PluginError(Exception):
    pass


class NoCluster(PluginError):
    pass


class NotInstalled(PluginError):
    pass


class Forbidden(PluginError):
    pass


class NotFound(PluginError):
    pass
