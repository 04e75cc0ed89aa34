"""The operator as a process on a real API server: it becomes ready, works, tells what it did, and stops."""

from __future__ import annotations

from mainspring.plan.common import objects
from tests.apiserver import crds
from tests.bench import population
from tests.bench.population import CHILDREN
from tests.wiring.lab import Lab
from tests.wiring.operator import Operator

WRITES = "mainspring_writes_total"
LOOKED = "mainspring_reconcile_seconds_count"


def test_a_service_gets_its_children_and_the_metrics_say_so(lab: Lab) -> None:
    operator = lab.start()
    lab.await_champion()
    lab.serve("tumours")
    lab.await_served("tumours")
    wrote = {"kind": "InferenceService", "outcome": "wrote"}
    for kind in CHILDREN:
        (child,) = lab.children("tumours", kind)
        assert (objects.controller(child) or {})["name"] == "tumours"
    # Of all that is told of a reconcile the last thing.
    lab.await_true("the reconcile is counted", lambda: operator.metrics().total(LOOKED, **wrote) == 1)
    told = operator.metrics()
    assert [told.total(WRITES, kind=kind, what="apply") for kind in CHILDREN] == [1, 1, 1, 1, 1]
    assert told.total("mainspring_leading") == 1
    assert told.total(WRITES, kind="InferenceService") == 1
    assert told.total(LOOKED, **wrote) == 1
    assert told.total("mainspring_reconcile_bugs_total") == 0
    assert operator.answer("/healthz") == (200, "ok")


def test_readiness_of_objects_is_told_as_long_as_they_exist(lab: Lab) -> None:
    operator = lab.start()
    operator.await_ready()
    lab.serve("tumours")
    lab.await_served("tumours")
    about = {"kind": "InferenceService", "namespace": lab.namespace, "name": "tumours"}
    lab.await_true("it is told", lambda: operator.metrics().tells("mainspring_object_ready", **about))
    lab.server.delete(population.service(lab.namespace, "tumours"))
    lab.await_true("it is no longer told", lambda: not operator.metrics().tells("mainspring_object_ready", **about))


def test_what_the_user_wrote_stays_as_it_was(lab: Lab) -> None:
    before = lab.serve("tumours")
    lab.start().await_ready()
    after = lab.await_served("tumours")
    assert after["spec"] == before["spec"]
    for found in (after, lab.server.get(population.model(lab.namespace))):
        metadata = found["metadata"]
        assert not {"annotations", "finalizers", "labels", "ownerReferences"} & set(metadata)
        ours = [entry for entry in metadata["managedFields"] if entry["manager"].startswith("mainspring")]
        assert [entry.get("subresource") for entry in ours] == ["status"]


def test_children_that_somebody_changes_or_deletes_are_put_right(lab: Lab) -> None:
    lab.start().await_ready()
    lab.serve("tumours")
    lab.await_served("tumours")
    (service,), (budget,) = lab.children("tumours", "Service"), lab.children("tumours", "PodDisruptionBudget")
    lab.server.merge(budget, {"spec": {"maxUnavailable": 7}})
    lab.server.delete(service)
    lab.await_true("the budget is as before", lambda: lab.server.get(budget)["spec"]["maxUnavailable"] == 1)
    lab.await_true("the Service is there again", lambda: lab.exists(service))
    assert objects.uid(lab.server.get(service)) != objects.uid(service)


def test_a_restart_over_what_exists_writes_nothing(lab: Lab) -> None:
    names = [f"tumours-{number}" for number in range(5)]
    first = lab.start()
    first.await_ready()
    for name in names:
        lab.serve(name)
    for name in names:
        lab.await_served(name)
    assert first.terminate() == 0
    second = lab.start()
    second.await_leading()
    for kind, count in {"InferenceService": len(names), "Model": 1, "ModelVersion": 1}.items():
        _await_looked_at(lab, second, kind, count)
    assert second.metrics().writes() == 0


def _await_looked_at(lab: Lab, operator: Operator, kind: str, count: int) -> None:
    lab.await_true(f"{kind} was looked at", lambda: operator.metrics().total(LOOKED, kind=kind) >= count)


def test_an_installation_for_one_namespace_leaves_the_others_alone(lab: Lab) -> None:
    other = lab.add_namespace()
    lab.serve("tumours", other)
    lab.start(MAINSPRING_WATCH_NAMESPACES=lab.namespace).await_ready()
    lab.serve("tumours")
    lab.await_served("tumours")
    assert lab.service("tumours", other)["status"] == {"observedGeneration": -1}


def test_an_installation_may_be_for_several_namespaces(lab: Lab) -> None:
    other = lab.add_namespace()
    lab.serve("tumours", other)
    lab.start(MAINSPRING_WATCH_NAMESPACES=f"{lab.namespace},{other}").await_ready()
    lab.serve("tumours")
    lab.await_served("tumours")
    lab.await_served("tumours", other)


def test_the_crds_may_be_installed_after_the_operator(lab: Lab) -> None:
    for crd in crds.manifests():
        lab.server.delete(crd)
    for crd in crds.manifests():
        lab.await_gone(crd)
    operator = lab.start()
    lab.await_true("it waits for the CRDs", lambda: "waiting for the CRDs" in operator.told())
    assert not operator.is_ready()
    crds.install(lab.server)
    operator.await_leading()
    for manifest in (population.model(lab.namespace), population.champion(lab.namespace)):
        lab.server.create(manifest)
    lab.serve("tumours")
    lab.await_served("tumours")


def test_sigterm_ends_it_in_order_and_before_its_time_is_up(lab: Lab) -> None:
    operator = lab.start()
    operator.await_leading()
    assert operator.terminate() == 0
    assert "Traceback" not in operator.told()
