"""Whether a version is answered by ONNX Runtime or by scikit-learn itself, which for trees takes hundreds of times as long.

Found by `evaluate`, which loads the version as a server would and proves it on its sample: an annotation keeps it, so the
condition survives its status. A server on another kind of CPU may find otherwise for itself, and only its own metric
`mainspring_model_info` can say so: nobody asks every server.
"""

from __future__ import annotations

from mainspring.api import contract
from mainspring.api.v1alpha1.common import ANNOTATION_FAST_PATH
from mainspring.plan.common import objects
from mainspring.plan.common.conditions import Condition
from mainspring.plan.common.objects import Object

TYPE = "FastPath"
YES = "onnx"  # the annotation; anything else is why not


def notes(report: contract.EvaluateReport) -> dict[str, str]:
    """The annotation; nothing for a version that only an image of its own can run."""
    if report.fast_path is None:
        return {}
    why = report.fallback_reason or "it has no model.onnx"
    return {ANNOTATION_FAST_PATH: YES if report.fast_path else why}


def conditions(version: Object) -> tuple[Condition, ...]:
    """None for versions that were verified before anybody asked."""
    found = objects.annotations_of(version).get(ANNOTATION_FAST_PATH)
    if not found:
        return ()
    if found == YES:
        return (Condition(TYPE, "True", "OnnxRuntime", "services answer by ONNX Runtime, which was proved equal"),)
    return (Condition(TYPE, "False", "ScikitLearn", f"services answer by scikit-learn, which is slower: {found}"),)
