"""The payload log: a sample of what was asked and answered, as Parquet files in the artifact store.

    inference ─► mark          which requests, decided by their id alone
    batching  ─► log           rows that were answered, in a bounded queue
    thread    ─► rows, sink    Parquet parts, written by size or age; parts that are too old go

Nobody who asks for a prediction waits for any of it, and none of it can fail a request: what does not fit, because the
store is slow or away, is dropped and counted.
"""

from __future__ import annotations
