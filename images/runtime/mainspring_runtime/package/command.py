"""The command `package`: a model file and example rows to a published model version.

    python -m mainspring_runtime package --model churn.skops --example rows.csv --exclude churned \
        --to s3://models/churn --name churn --version 7 > churn-v7.yaml

The manifest goes to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mainspring.api.v1alpha1.common import NAME_MAX
from mainspring_runtime import artifacts, threads
from mainspring_runtime.errors import PermanentError
from mainspring_runtime.model.document import PACKAGE_COMMAND
from mainspring_runtime.model.trusted_types import TRUSTED_TYPES
from mainspring_runtime.package import manifest, packaging
from mainspring_runtime.package.packaging import Request
from mainspring_runtime.train import canonical

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def main(argv: Sequence[str]) -> None:
    """Package, publish, print. Raises `JobError`."""
    asked = _parse(argv)
    if not NAME.fullmatch(asked.name) or len(asked.name) > NAME_MAX:
        raise PermanentError("InvalidName", f"--name {asked.name!r} must be the name of a Model, such as churn")
    request = Request(
        model=asked.model,
        example=asked.example,
        exclude=tuple(asked.exclude),
        texts=tuple(asked.text),
        nullable=tuple(asked.nullable),
        targets=tuple(asked.target),
        classes=tuple(_label(text) for text in asked.classes),
        outputs=tuple(asked.output),
        trusted_types=tuple(asked.trusted_type),
        allow_pickle=asked.allow_pickle,
        seed=asked.seed,
    )
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        made = packaging.make(request, work, threads.available(None))
        published = artifacts.publish(made.directory, _url(asked.to))
        types = set(canonical.types_in(made.directory, made.document)) - TRUSTED_TYPES
    _tell(made, sorted(types))
    print(f"published {published.size} bytes as {published.digest}", file=sys.stderr)
    print(
        manifest.render(
            asked.name,
            asked.version,
            published,
            made.document,
            made.signature,
            namespace=asked.namespace,
            image=asked.image,
        ),
        end="",
    )


def _tell(made: packaging.Made, types: Sequence[str]) -> None:
    """What a person must know before applying."""
    for note in made.notes:
        print(f"note: {note}", file=sys.stderr)
    if types:
        print(f"set spec.trustedTypes of the Model to: {', '.join(types)}", file=sys.stderr)
    if made.document.format == "joblib":
        print(
            "set spec.allowPickle of the Model: skops cannot store this estimator, so it stays a pickle",
            file=sys.stderr,
        )


def _url(destination: str) -> str:
    """A store URL as it is, a directory as `file://`."""
    return destination if "://" in destination else Path(destination).resolve().as_uri()


def _label(text: str) -> str | int:
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PACKAGE_COMMAND,
        description="Make a model version of a model that was trained elsewhere, publish it, and print its ModelVersion.",
    )
    add = parser.add_argument
    add(
        "--model",
        type=Path,
        required=True,
        help=".skops, .joblib, .pkl, .onnx, .ubj or .json (xgboost), .txt (lightgbm)",
    )
    add("--example", type=Path, required=True, help="rows as the model takes them: .csv, .parquet, .json or .jsonl")
    add("--to", required=True, help="store URL (s3://, gs://, az://, file://) or directory; <digest>/ is made below it")
    add("--name", required=True, help="the Model")
    add("--version", type=int, default=1, help="number of the version (default: %(default)s)")
    add("--namespace", help="of the manifest; default: that of kubectl")
    add(
        "--exclude",
        action="append",
        default=[],
        metavar="COLUMN",
        help="of the example, no input of the model; repeatable",
    )
    add("--text", action="append", default=[], metavar="COLUMN", help="text even if it looks like numbers; repeatable")
    add(
        "--nullable",
        action="append",
        default=[],
        metavar="COLUMN",
        help="may be missing, although none is in the example; repeatable",
    )
    add(
        "--target",
        action="append",
        default=[],
        metavar="NAME",
        help="what is predicted, if several; repeatable, in order",
    )
    add("--class", dest="classes", action="append", default=[], help="of an ONNX classifier; repeatable, in order")
    add("--output", action="append", default=[], help="only these outputs; default: all that the model has; repeatable")
    add("--image", help="runtime image with the model's libraries, for the manifest; default: that of the release")
    add("--trusted-type", action="append", default=[], help="a type in a skops file that is not on the reviewed list")
    add("--allow-pickle", action="store_true", help="read a .joblib or .pkl file, which runs code in it")
    add("--seed", type=int, default=0, help="of the synthetic rows (default: %(default)s)")
    return parser.parse_args(argv[1:])
