"""Names at the limits of the schema still make legal names of children."""

from __future__ import annotations

import pytest

from mainspring.api.v1alpha1.common import NAME_MAX, VERSION_NAME_MAX
from mainspring.api.v1alpha1.dataset import DatasetSpec
from mainspring.api.v1alpha1.inferenceservice import InferenceServiceSpec
from mainspring.api.v1alpha1.model import ModelSpec
from mainspring.api.v1alpha1.modelversion import ModelVersionSpec
from mainspring.plan.common import objects
from mainspring.plan.dataset import builders as dataset_builders
from mainspring.plan.dataset import observed as dataset_observed
from mainspring.plan.inferenceservice import builders as service_builders
from mainspring.plan.inferenceservice import observed as service_observed
from mainspring.plan.modelversion import builders as version_builders
from mainspring.plan.modelversion import observed as version_observed
from mainspring.plan.trainingrun import builders as run_builders
from tests import builders
from tests.sim import builtin

LONG = "n" * NAME_MAX
JOB_NAME_MAX = 63


def dataset_job() -> str:
    obj = builders.stored(builders.dataset(LONG))
    observed = dataset_observed.Observed(obj, DatasetSpec.model_validate(objects.spec(obj)), builders.SETTINGS)
    return dataset_builders.job_name(observed, "trigger", 99)


def evaluate_job() -> str:
    artifact = {"uri": "s3://x", "digest": builders.digest("x")}
    obj = builders.stored(builders.version(2147483647, LONG, artifact=artifact))
    assert len(objects.name(obj)) == VERSION_NAME_MAX
    spec = ModelVersionSpec.model_validate(objects.spec(obj))
    observed = version_observed.Observed(obj, spec, builders.SETTINGS, model_spec=ModelSpec())
    return version_builders.job_name(observed, None, 99)


@pytest.mark.parametrize("name", [dataset_job(), evaluate_job(), run_builders.job_name(LONG, 99)])
def test_jobs_have_legal_names(name: str) -> None:
    assert len(name) <= JOB_NAME_MAX
    assert builtin.DNS_1123.fullmatch(name)


def test_versions_have_legal_names() -> None:
    assert len(dataset_builders.version_name(LONG, builders.digest("x"))) <= VERSION_NAME_MAX


def test_the_children_of_a_service_have_legal_names() -> None:
    obj, version = builders.stored(builders.service(LONG)), builders.model_version(1)
    observed = service_observed.Observed(obj, InferenceServiceSpec.model_validate(objects.spec(obj)), builders.SETTINGS)
    revision = service_builders.revision_hash(observed, version)
    for child in (
        service_builders.build_deployment(observed, version, revision, 1),
        service_builders.build_service(observed, revision),
    ):
        builtin.admit(child)
        assert len(objects.name(child)) <= JOB_NAME_MAX
