"""The model server: one model version behind the Open Inference Protocol v2, and v1.

    command ─► server ─► loading      fetch, verify, load, warm up (in a thread, once)
                  │  └─► listener     two ports, their connections, and the order in which these are closed
                  ▼
    inference (8080) ─► wire ─► tables ─► batching ─► the predictor (in one thread)
           │                                 └─► monitoring    rows and predictions that were answered
           └─► monitoring    labels that come back
    internal  (8081) ─► metrics, and what monitoring counted

Everything but loading and predicting runs on one event loop, so nothing here needs a lock.
"""

from __future__ import annotations
