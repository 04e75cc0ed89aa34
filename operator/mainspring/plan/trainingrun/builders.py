"""Children of a TrainingRun: one Job per attempt."""

from __future__ import annotations

from dataclasses import replace

from mainspring.api import contract
from mainspring.api.v1alpha1.common import (
    LABEL_ATTEMPT,
    LABEL_DATASET_VERSION,
    LABEL_MODEL,
    LABEL_TRAINING_RUN,
)
from mainspring.api.v1alpha1.datasetversion import DatasetVersionSpec
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.trainingrun import Container
from mainspring.plan.common import jobs, objects, pods
from mainspring.plan.common.objects import Manifest, Object
from mainspring.plan.trainingrun.observed import Observed

INPUT_DIR = f"{contract.WORK_DIR}/input"
OUTPUT_DIR = f"{contract.WORK_DIR}/output"
EVENTS_PATH = f"{contract.WORK_DIR}/events.jsonl"
CHECKPOINT_DIR = "/checkpoint"


def job_name(run: str, attempt: int) -> str:
    return f"{run}-train-{attempt}"


def build_attempt(observed: Observed, version: Object, attempt: int, seconds_left: int | None) -> tuple[Manifest, ...]:
    """The Job of one attempt with its ConfigMap and rights. `version` is the DatasetVersion that the run decided on."""
    run, spec = objects.name(observed.object), observed.spec
    extra = {
        LABEL_TRAINING_RUN: run,
        LABEL_MODEL: spec.model,
        LABEL_ATTEMPT: str(attempt),
        LABEL_DATASET_VERSION: objects.name(version),
    }
    request = jobs.JobRequest(
        owner=observed.object,
        name=job_name(run, attempt),
        labels=pods.standard_labels("train", run, extra),
        image=image(observed),
        command="publish" if spec.container else "train",
        task=_task(observed, version, attempt),
        resources=None if spec.container else spec.resources,
        template=spec.pod_template,
        deadline_seconds=seconds_left,
        env=_paths() if spec.container else (),
    )
    if spec.container:
        request = _around_user_container(request, observed, spec.container)
    return jobs.build_job(_with_signing(request, observed), observed.settings)


def image(observed: Observed) -> str:
    """Our runtime, or the user's own that is built from it."""
    return observed.spec.image or observed.settings.jobs_image


def _task(observed: Observed, version: Object, attempt: int) -> contract.TrainTask:
    assert observed.model is not None  # the plan waits for the Model
    facts = DatasetVersionSpec.model_validate(objects.spec(version))
    root = observed.settings.artifact_root(objects.namespace(observed.object))
    return contract.TrainTask(
        namespace=objects.namespace(observed.object),
        run=objects.name(observed.object),
        attempt=attempt,
        spec=observed.spec,
        dataset=contract.DatasetFacts(
            artifact=contract.ArtifactRef(name=objects.name(version), uri=facts.uri, digest=facts.digest),
            task=facts.task,
            target=facts.target,
            positive=objects.spec(observed.dataset or {}).get("positive"),
            split_digest=facts.split_digest,
            data_cut=facts.data_cut,
        ),
        model=contract.ModelFacts(
            name=observed.spec.model, spec=ModelSpec.model_validate(objects.spec(observed.model))
        ),
        destination=f"{root}/models/{observed.spec.model}",
        image=image(observed),
    )


def _paths() -> list[Manifest]:
    return [
        {"name": contract.ENV_INPUT, "value": INPUT_DIR},
        {"name": contract.ENV_OUTPUT, "value": OUTPUT_DIR},
        {"name": contract.ENV_EVENTS, "value": EVENTS_PATH},
    ]


def _around_user_container(request: jobs.JobRequest, observed: Observed, container: Container) -> jobs.JobRequest:
    """fetch (ours) → user → publish (ours): upload, message and exit status stay ours."""
    fetch = jobs.own_container(request, observed.settings, "fetch", "fetch")
    volumes: list[Manifest] = []
    mounts: list[Manifest] = []
    env = _paths()
    if observed.spec.checkpoint:
        volumes = [{"name": "checkpoint", "persistentVolumeClaim": {"claimName": observed.spec.checkpoint.claim}}]
        mounts = [{"name": "checkpoint", "mountPath": CHECKPOINT_DIR}]
        env = [*env, {"name": contract.ENV_CHECKPOINT, "value": CHECKPOINT_DIR}]
    env += [{"name": "HOME", "value": contract.WORK_DIR}, *_user_env(observed)]
    body: Manifest = {"env": env, "volumeMounts": [*mounts, *_user_mounts(observed)]}
    if container.command:
        body["command"] = container.command
    body["resources"] = pods.resources_or(observed.spec.resources, "250m", "512Mi")
    user = pods.build_container(container.image, observed.settings, name="user", args=container.args, **body)
    return replace(request, init_containers=(fetch, user), volumes=volumes)


def _with_signing(request: jobs.JobRequest, observed: Observed) -> jobs.JobRequest:
    """check-signing-key (ours) → … → main → sign (ours): only these two see the key, and they run nobody else's code.

    They take the image of the release: the run's own may be one that a user has made.
    """
    asked = objects.spec(observed.model or {}).get("signing")
    if not asked:
        return request
    secret = asked["privateKeySecret"]
    key = [
        pods.secret_env(contract.ENV_PRIVATE_KEY, secret, contract.PRIVATE_KEY),
        pods.secret_env(contract.ENV_PRIVATE_KEY_PASSWORD, secret, contract.PRIVATE_KEY_PASSWORD, optional=True),
    ]
    private = replace(request, image=observed.settings.jobs_image, env=[*request.env, *key])
    check = jobs.own_container(private, observed.settings, "check-signing-key", "check-signing-key")
    sign = jobs.own_container(private, observed.settings, "sign", "sign")
    return replace(request, init_containers=(check, *request.init_containers), last_container=sign)


def _user_env(observed: Observed) -> list[Manifest]:
    template = observed.spec.pod_template
    return list(template.env or ()) if template else []


def _user_mounts(observed: Observed) -> list[Manifest]:
    template = observed.spec.pod_template
    return list(template.volume_mounts or ()) if template else []
