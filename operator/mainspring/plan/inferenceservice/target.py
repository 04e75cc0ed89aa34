"""Which version a service shall serve."""

from __future__ import annotations

from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.model import Verification
from mainspring.plan.common import conditions, gates, objects, proving
from mainspring.plan.common.conditions import Verdict
from mainspring.plan.common.objects import Object
from mainspring.plan.common.proving import CHAMPION
from mainspring.plan.inferenceservice.observed import Observed


def wanted_version(service: str, spec: InferenceServiceSpec, model: Object | None) -> str:
    """The ModelVersion's name, or empty while it is not known. `service` is the name of the service."""
    if spec.model.version:
        return spec.model.version
    if found := proven_version(service, spec, model):
        return found
    status = objects.status(model) if model is not None else {}
    alias = spec.model.alias or CHAMPION
    name = status.get("champion") if alias == CHAMPION else (status.get("aliases") or {}).get(alias)
    return name or ""


def proven_version(service: str, spec: InferenceServiceSpec, model: Object | None) -> str:
    """The candidate that this service proves for its Model (promotion.provenBy), if there is one."""
    if model is None or not proving.follows(spec.model, objects.name(model)):
        return ""
    told = objects.status(model).get("proving") or {}
    return str(told["version"]) if told.get("service") == service else ""


def problem(observed: Observed) -> Verdict | None:
    """Why there is nothing to serve; None when there is."""
    wanted = wanted_version(objects.name(observed.object), observed.spec, observed.model)
    if not wanted:
        return _nothing_wanted(observed)
    if observed.version is None:
        return conditions.reconciling("ModelVersionNotFound", f"waits for ModelVersion {wanted}")
    if objects.condition_is(observed.version, "ArtifactVerified", "False"):
        told = objects.condition(observed.version, "ArtifactVerified") or {}
        return conditions.stalled(
            str(told.get("reason")), f"ModelVersion {wanted} cannot be served: {told.get('message')}"
        )
    if not gates.is_verified(observed.version, verification(observed)):
        return conditions.reconciling(
            "ModelVersionNotVerified", f"waits for the artifact of ModelVersion {wanted} to be verified"
        )
    return None


def verification(observed: Observed) -> Verification | None:
    """What the Model asks of signatures."""
    asked = objects.spec(observed.model or {}).get("verification")
    return Verification.model_validate(asked) if asked else None


def _nothing_wanted(observed: Observed) -> Verdict:
    name, alias = observed.spec.model.name, observed.spec.model.alias
    if observed.model is None:
        return conditions.reconciling(
            "ModelNotFound", f"waits for Model {name} (spec.model.name): create it, or correct the name"
        )
    if alias and alias != CHAMPION:
        return conditions.reconciling("AliasNotFound", f"waits for Model {name} to have spec.aliases.{alias}")
    told = objects.condition(observed.model, conditions.READY)
    why = f": {told['message']}" if told and told.get("message") else ""
    return conditions.reconciling("NoChampion", f"waits for Model {name} to have a champion{why}")
