"""What a server counts about rows, predictions and labels, for whoever watches the model.

    profile ─► columns, predictions    the bins of the version's own profile.json, compiled at load
    batching ─► counters               rows that were answered, held until a few hundred are binned at once
    inference ─► feedback ◄─ tokens    labels that callers send back
    internal ─► monitor ─► wire        snapshot and reference, in the JSON of `mainspring.api.monitoring`
    internal ─► series                 the same counts for Prometheus

Counts only grow while the process lives. All of it happens on the event loop, so nothing here needs a lock.
"""

from __future__ import annotations
