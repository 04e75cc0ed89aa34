"""Children of a ModelVersion: the Job that verifies, loads and compares it."""

from __future__ import annotations

from mainspring.api import contract
from mainspring.api.v1alpha1.common import LABEL_MODEL, LABEL_MODEL_VERSION
from mainspring.api.v1alpha1.model import Gate
from mainspring.api.v1alpha1.modelversion import ModelVersionSpec
from mainspring.plan.common import gates, jobs, objects, pods
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.modelversion.observed import Observed


def job_name(observed: Observed, champion: Object | None, attempt: int) -> str:
    """Named by what it does: the same question is asked once. What the Model allows to load is part of it."""
    assert observed.model_spec is not None  # the plan waits for the Model
    question = [
        observed.spec.artifact.digest,
        sorted(observed.model_spec.trusted_types or ()),
        observed.model_spec.allow_pickle,
        objects.spec(champion)["artifact"]["digest"] if champion else "",
        [g.to_dict() for g in _comparing(observed)] if champion else [],
        attempt,
    ]
    # What came later is left out when it is not set, so that no older Job changes its name.
    if asked := observed.model_spec.verification:
        question += [asked.to_dict(), observed.doubt]
    # 52 letters of the version, 6 of `-eval-` and 5 make 63, the longest name of a Job.
    return f"{objects.name(observed.object)}-eval-{objects.stable_hash(question, 5)}"


def build_evaluate_job(observed: Observed, champion: Object | None, attempt: int) -> tuple[Manifest, ...]:
    version = objects.name(observed.object)
    labels = {LABEL_MODEL_VERSION: version, LABEL_MODEL: observed.spec.model}
    request = jobs.JobRequest(
        owner=observed.object,
        name=job_name(observed, champion, attempt),
        labels=pods.standard_labels("evaluate", version, labels),
        image=_image(observed),
        command="evaluate",
        task=_task(observed, champion),
        env=_public_key(observed),
    )
    return jobs.build_job(request, observed.settings)


def _public_key(observed: Observed) -> list[Manifest]:
    asked = observed.model_spec.verification if observed.model_spec else None
    if asked is None:
        return []
    return [pods.secret_env(contract.ENV_PUBLIC_KEY, asked.public_key_secret, contract.PUBLIC_KEY)]


def _image(observed: Observed) -> str:
    """The image that trained it, when that is one of our runtimes: it has the libraries that the model needs."""
    source = observed.spec.source
    return (source.image if source else None) or observed.settings.jobs_image


def _task(observed: Observed, champion: Object | None) -> contract.EvaluateTask:
    assert observed.model_spec is not None
    return contract.EvaluateTask(
        namespace=objects.namespace(observed.object),
        model_version=objects.name(observed.object),
        artifact=_ref(observed.object),
        model=contract.ModelFacts(name=observed.spec.model, spec=observed.model_spec),
        source=observed.spec.source,
        comparison=_comparison(observed, champion) if champion else None,
    )


def _ref(version: Object) -> contract.ArtifactRef:
    artifact = objects.spec(version)["artifact"]
    return contract.ArtifactRef(name=objects.name(version), uri=artifact["uri"], digest=artifact["digest"])


def _comparison(observed: Observed, champion: Object) -> contract.CompareTask | None:
    """None when a version's data is not known any more: the gates then are inconclusive and say so."""
    mine, theirs = observed.dataset_version, observed.champion_dataset_version
    if mine is None or theirs is None or observed.model_spec is None:
        return None
    facts = ModelVersionSpec.model_validate(objects.spec(champion)).source
    return contract.CompareTask(
        champion=_ref(champion),
        champion_dataset=_dataset_ref(theirs),
        champion_split_digest=facts.split_digest if facts else None,
        champion_data_cut=facts.data_cut if facts else None,
        dataset=_dataset_ref(mine),
        split_digest=objects.spec(mine).get("splitDigest"),
        metrics=[contract.RequestedComparison(metric=g.metric, on=g.rows) for g in _comparing(observed) if g.metric],
    )


def _comparing(observed: Observed) -> list[Gate]:
    assert observed.model_spec is not None
    return [g for g in gates.asked_of(observed.object, observed.model_spec.gates) if g.versus_champion]


def _dataset_ref(version: Object) -> contract.ArtifactRef:
    return contract.ArtifactRef(
        name=objects.name(version), uri=version["spec"]["uri"], digest=version["spec"]["digest"]
    )
