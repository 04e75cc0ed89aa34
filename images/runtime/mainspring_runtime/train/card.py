"""`card.md`: the model card. What the Model says it is for, what was measured, and what a user must know."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from mainspring.api.contract import TrainTask
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.trainingrun import LESS_IS_BETTER, Metric, MetricValue
from mainspring_runtime.model.document import ModelDocument
from mainspring_runtime.model.signature import Signature

MAX_INPUTS = 100
MAX_CATEGORIES = 10


def render(
    task: TrainTask,
    document: ModelDocument,
    signature: Signature,
    metrics: Sequence[MetricValue],
    primary: Metric | None,
    rows: Mapping[str, int],
    notes: Sequence[str],
) -> str:
    """The card in Markdown. Sections without content are left out."""
    spec = task.model.spec
    sections = [
        ("## Intended use", [spec.intended_use or ""]),
        ("## Limitations", [spec.limitations or ""]),
        ("## Metrics", _metrics(metrics, primary, rows.get("test", 0))),
        ("## Training", list(_training(task, document, rows))),
        ("## Inputs", list(_inputs(signature))),
        (
            "## Outputs",
            [f"- `{output.name}` ({output.datatype}, shape {list(output.shape)})" for output in signature.outputs],
        ),
        ("## Notes", [f"- {note}" for note in notes]),
    ]
    written = [f"{title}\n\n" + "\n".join(lines) for title, lines in sections if any(lines)]
    return "\n\n".join(["\n\n".join([f"# {task.model.name}", *_about(spec)]), *written]) + "\n"


def _about(spec: ModelSpec) -> Iterator[str]:
    if spec.description:
        yield spec.description
    facts = {"Owner": spec.owner, "License": spec.license, **(spec.tags or {})}
    if lines := [f"- {name}: {value}" for name, value in facts.items() if value]:
        yield "\n".join(lines)


def _metrics(metrics: Sequence[MetricValue], primary: Metric | None, rows: int) -> list[str]:
    if not metrics:
        return []
    lines = [
        f"On {rows} held-out rows, with 95 % intervals (bootstrap over rows).\n",
        "| metric | value | interval | better |",
        "|---|---|---|---|",
    ]
    for metric in metrics:
        name = f"**{metric.name}**" if metric.name == primary else str(metric.name)
        interval = "" if metric.lower is None or metric.upper is None else f"{metric.lower:.4g} to {metric.upper:.4g}"
        lines.append(
            f"| {name} | {metric.value:.4g} | {interval} | {'lower' if metric.name in LESS_IS_BETTER else 'higher'} |"
        )
    return lines


def _training(task: TrainTask, document: ModelDocument, rows: Mapping[str, int]) -> Iterator[str]:
    yield f"- Dataset: {task.dataset.artifact.name} (`{task.dataset.artifact.digest}`)"
    yield "- Rows: " + ", ".join(f"{count} {name}" for name, count in rows.items())
    yield f"- Task: {document.task}, target `{task.dataset.target}`"
    if document.estimator:
        yield f"- Estimator: `{document.estimator}`"
    estimator = task.spec.estimator
    if estimator is not None and estimator.params:
        yield f"- Parameters: `{json.dumps(estimator.params, sort_keys=True)}`"
    yield f"- Seed: {task.spec.seed}"
    if document.threshold is not None:
        yield f"- A row is {document.positive!r} when its probability exceeds {document.threshold:.4g}"
    yield f"- Image: {task.image}"
    yield f"- Model digest: `{document.model_digest}`"
    yield (
        "- Answered by ONNX Runtime"
        if document.onnx.admitted
        else f"- Answered by {document.format}{_why(document.onnx.reason)}"
    )


def _why(reason: str) -> str:
    return f" (no ONNX: {reason})" if reason else ""


def _inputs(signature: Signature) -> Iterator[str]:
    for column in signature.inputs[:MAX_INPUTS]:
        values = "" if not column.categories else ": " + ", ".join(column.categories[:MAX_CATEGORIES])
        more = ", …" if column.categories and len(column.categories) > MAX_CATEGORIES else ""
        yield f"- `{column.name}` ({column.kind}, {column.datatype}{', may be missing' if column.nullable else ''}){values}{more}"
    if len(signature.inputs) > MAX_INPUTS:
        yield f"- and {len(signature.inputs) - MAX_INPUTS} more in signature.json"
