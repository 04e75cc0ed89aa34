"""`prepare`: from a source to one immutable, checked, split and profiled dataset version.

Rows are never held in Python as a whole: DuckDB reads, joins and sorts them within a memory limit and spills to disk,
pyarrow writes them in row groups. The same rows give the same bytes, so the digest of a version names its content.
"""

from __future__ import annotations
