"""`join`: labels of a dataset version, joined by its key to what a service's payload log says it predicted.

    predictions    parts of the log, into a table
    known          labelled rows of the dataset version, into another
    counting       what both come to: the counts that a server makes of feedback

All in DuckDB, in bounded memory and on one thread, so that the same parts and rows give the same counts to the last bit.
"""

from __future__ import annotations
