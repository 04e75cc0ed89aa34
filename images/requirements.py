"""Print the dependencies that pyproject.toml lists for the named extras, one a line.

The image builds install these before the source is copied, so that a change of the
source leaves the layer with the libraries alone. An extra that names another extra of
the project (`mainspring[serve]`) stands for what that one lists.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def dependencies(project: dict[str, Any], extra: str) -> Iterator[str]:
    """What an extra lists, with the project's own extras replaced by what they list."""
    own = re.compile(rf"{re.escape(project['name'])}\[(.*)\]")
    for requirement in project["optional-dependencies"][extra]:
        found = own.fullmatch(requirement)
        if found is None:
            yield requirement
            continue
        for other in found[1].split(","):
            yield from dependencies(project, other.strip())


def main(pyproject: str, *extras: str) -> None:
    """Print the project's own dependencies and those of the extras, sorted, each once."""
    project = tomllib.loads(Path(pyproject).read_text())["project"]
    wanted = {*project["dependencies"], *(line for extra in extras for line in dependencies(project, extra))}
    print("\n".join(sorted(wanted)))


if __name__ == "__main__":
    main(*sys.argv[1:])
