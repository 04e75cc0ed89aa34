"""Datasets: what asks for a preparation, what becomes current, what is said when it goes wrong."""

from __future__ import annotations

import pytest

from mainspring.plan.common import newrows, objects
from mainspring.plan.common.objects import Ref
from tests import builders
from tests.sim import stories
from tests.sim.runtime import NEW_ROWS
from tests.sim.simulation import NAMESPACE, Simulation
from tests.sim.workloads import HANGS, Ends

NIGHTLY = {"schedule": "0 3 * * *"}
HOURLY = {"schedule": "0 * * * *"}
CHECK = {"name": "no-empty", "sql": "SELECT * FROM dataset WHERE radius IS NULL"}
HOUR = 3600.0


def current(sim: Simulation, name: str = "tumours") -> str:
    return str(sim.status("Dataset", name).get("current", ""))


def test_a_new_dataset_is_prepared_once(sim: Simulation) -> None:
    sim.apply(builders.dataset())
    sim.advance(HOUR)
    assert len(sim.made("Job")) == 1
    assert sim.names("DatasetVersion") == [current(sim)]


def test_the_same_data_makes_no_new_version(sim: Simulation) -> None:
    sim.apply(builders.dataset())
    sim.settle()
    sim.annotate("Dataset", "tumours", refresh="again")
    sim.settle()
    assert len(sim.made("Job")) == 2
    assert len(sim.names("DatasetVersion")) == 1
    assert sim.condition("Dataset", "tumours") == ("True", "Current")


def test_an_unchanged_refresh_is_remembered_when_status_is_lost(sim: Simulation) -> None:
    sim.apply(builders.dataset())
    sim.settle()
    sim.annotate("Dataset", "tumours", refresh="again")
    sim.settle()
    sim.server.wipe_status(["Dataset"])
    sim.restart()
    sim.settle()
    assert len(sim.made("Job")) == 2
    assert sim.condition("Dataset", "tumours") == ("True", "Current")


def test_new_data_becomes_current(sim: Simulation) -> None:
    sim.apply(builders.dataset())
    sim.settle()
    before = current(sim)
    stories.new_data(sim)
    sim.settle()
    assert current(sim) != before
    assert len(sim.names("DatasetVersion")) == 2


def test_new_rows_add_up_however_few_versions_are_kept(sim: Simulation) -> None:
    sim.apply(builders.dataset(retain=2), builders.model(), builders.run())
    sim.settle()
    trained_on = current(sim)
    for number in range(5):
        sim.workloads.runtime.content["tumours"] = f"content {number}"
        sim.annotate("Dataset", "tumours", refresh=str(number))
        sim.settle()
    names = sim.names("DatasetVersion")
    assert trained_on in names
    assert len(names) < 6
    versions = [sim.get("DatasetVersion", name) for name in names]
    found = newrows.new_rows_since(versions, current(sim), trained_on=trained_on)
    assert found == newrows.Evidence(5 * NEW_ROWS, exact=False)


def test_the_schedule_looks_at_the_source_at_every_tick(sim: Simulation) -> None:
    sim.apply(builders.dataset(refresh=HOURLY))
    sim.settle()
    assert sim.status("Dataset", "tumours")["nextRefresh"] == "2025-06-02T09:00:00Z"
    sim.advance(3 * HOUR)
    assert len(sim.made("Job")) == 4
    assert sim.status("Dataset", "tumours")["lastChecked"].startswith("2025-06-02T11:00")


def test_missed_ticks_count_once(sim: Simulation) -> None:
    sim.apply(builders.dataset(refresh=HOURLY))
    sim.settle()
    sim.clock.tick(5 * HOUR)
    sim.restart()
    sim.settle()
    assert len(sim.made("Job")) == 2


def test_ticks_are_in_the_time_zone_of_the_dataset(sim: Simulation) -> None:
    sim.apply(builders.dataset(refresh={**NIGHTLY, "timeZone": "Asia/Tokyo"}))
    sim.settle()
    assert sim.status("Dataset", "tumours")["nextRefresh"] == "2025-06-02T18:00:00Z"


def test_a_tick_does_not_interrupt_a_preparation_that_takes_longer(sim: Simulation) -> None:
    sim.workloads.rule("tumours-prepare-*", HANGS)
    sim.apply(builders.dataset(refresh={"schedule": "*/5 * * * *"}))
    sim.advance(13 * 60)
    assert len(sim.made("Job")) == 1
    sim.workloads.rule("tumours-prepare-*", None)
    sim.advance(60)
    assert len(sim.made("Job")) == 2
    assert sim.condition("Dataset", "tumours") == ("True", "Current")


def test_the_stage_of_a_preparation_is_told(sim: Simulation) -> None:
    sim.workloads.rule("tumours-prepare-*", HANGS)
    sim.apply(builders.dataset())
    sim.settle()
    sim.workloads.progress(sim.names("Job")[0], 30)
    sim.settle()
    assert sim.condition("Dataset", "tumours") == ("Unknown", "Preparing")
    assert "fitting" in sim.message("Dataset", "tumours")


def test_a_changed_spec_interrupts_a_preparation(sim: Simulation) -> None:
    sim.workloads.rule("tumours-prepare-*", HANGS)
    sim.apply(builders.dataset())
    sim.settle()
    (first,) = sim.names("Job")
    sim.edit("Dataset", "tumours", target="label")
    sim.settle()
    (second,) = sim.names("Job")
    assert first != second


@pytest.mark.parametrize("field", [{"retain": 3}, {"refresh": NIGHTLY}, {"resources": {"requests": {"cpu": "1"}}}])
def test_what_is_not_about_the_data_asks_for_nothing(sim: Simulation, field: dict[str, object]) -> None:
    sim.apply(builders.dataset())
    sim.settle()
    sim.edit("Dataset", "tumours", **field)
    sim.settle()
    assert len(sim.made("Job")) == 1
    assert sim.status("Dataset", "tumours")["observedGeneration"] == 2


def test_a_version_that_breaks_a_check_is_made_but_never_current(sim: Simulation) -> None:
    sim.apply(builders.dataset())
    sim.settle()
    good = current(sim)
    stories.broken_check(sim)
    sim.settle()
    assert current(sim) == good
    assert len(sim.names("DatasetVersion")) == 2
    assert sim.condition("Dataset", "tumours") == ("False", "ChecksFailed")
    assert 'check "no-empty" returned 3 rows' in sim.message("Dataset", "tumours")
    assert f"{good} stays current" in sim.message("Dataset", "tumours")


def test_the_version_itself_says_which_check_failed(sim: Simulation) -> None:
    sim.apply(builders.dataset(checks=[CHECK]))
    sim.workloads.runtime.broken_checks["no-empty"] = 3
    sim.settle()
    (version,) = sim.names("DatasetVersion")
    assert current(sim) == ""
    assert sim.condition("DatasetVersion", version, "Valid") == ("False", "ChecksFailed")


def test_repaired_data_becomes_current_again(sim: Simulation) -> None:
    sim.apply(builders.dataset())
    sim.settle()
    stories.broken_check(sim)
    sim.settle()
    sim.workloads.runtime.broken_checks.clear()
    stories.new_data(sim)
    sim.settle()
    assert sim.condition("Dataset", "tumours") == ("True", "Current")


def test_a_dataset_waits_for_its_inputs_and_follows_them(sim: Simulation) -> None:
    sim.apply(builders.dataset("joined", inputs=[{"name": "hospitals", "dataset": "hospitals"}]))
    sim.settle()
    assert sim.condition("Dataset", "joined") == ("Unknown", "InputsNotReady")
    sim.apply(builders.dataset("hospitals"))
    sim.settle()
    first = current(sim, "joined")
    sim.workloads.runtime.content["hospitals"] = "2"
    sim.annotate("Dataset", "hospitals", refresh="now")
    sim.settle()
    assert current(sim, "joined") not in ("", first)
    parents = sim.get("DatasetVersion", current(sim, "joined"))["spec"]["parents"]
    assert [p["name"] for p in parents] == [current(sim, "hospitals")]


def test_passing_trouble_is_tried_again_for_as_long_as_it_takes(sim: Simulation) -> None:
    sim.workloads.rule("tumours-prepare-*", Ends(1, "SourceUnreachable", "no route"))
    sim.apply(builders.dataset())
    sim.settle()
    assert sim.condition("Dataset", "tumours") == ("False", "SourceUnreachable")
    sim.advance(HOUR)
    assert 8 <= len(sim.made("Job")) <= 14
    sim.workloads.rule("tumours-prepare-*", None)
    sim.advance(700)
    assert sim.condition("Dataset", "tumours") == ("True", "Current")
    assert "attempt" not in sim.status("Dataset", "tumours")


def test_lasting_trouble_is_not_tried_again(sim: Simulation) -> None:
    sim.workloads.rule("tumours-prepare-*", Ends(42, "InvalidTarget", "there is no column diagnosis"))
    sim.apply(builders.dataset())
    sim.advance(HOUR)
    assert len(sim.made("Job")) == 1
    assert sim.condition("Dataset", "tumours") == ("False", "InvalidTarget")
    sim.workloads.rule("tumours-prepare-*", None)
    sim.annotate("Dataset", "tumours", refresh="repaired")
    sim.settle()
    assert sim.condition("Dataset", "tumours") == ("True", "Current")


@pytest.mark.parametrize("refresh", [{"schedule": "0 99 * * *"}, {"schedule": "0 3 * * *", "timeZone": "Mars/Olympus"}])
def test_a_wrong_schedule_is_said_at_once(sim: Simulation, refresh: dict[str, str]) -> None:
    sim.apply(builders.dataset(refresh=refresh))
    sim.settle()
    assert sim.condition("Dataset", "tumours") == ("False", "InvalidSchedule")
    assert sim.made("Job") == []


def test_old_versions_go_but_those_in_use_stay() -> None:
    sim = stories.served()
    used = current(sim)
    sim.edit("Dataset", "tumours", retain=1)
    stories.new_data(sim)
    sim.settle()
    unused = current(sim)
    stories.third_data(sim)
    sim.settle()
    assert set(sim.names("DatasetVersion")) == {used, current(sim)}
    assert unused not in sim.names("DatasetVersion")
    sim.close()


def test_only_the_newest_job_and_what_it_needs_is_kept(sim: Simulation) -> None:
    sim.apply(builders.dataset(refresh=HOURLY))
    sim.advance(3 * HOUR)
    (job,) = sim.names("Job")
    for kind in ("ConfigMap", "ServiceAccount", "Role", "RoleBinding"):
        assert sim.names(kind) == [job]


def test_versions_outlive_their_dataset(sim: Simulation) -> None:
    sim.apply(builders.dataset())
    sim.settle()
    sim.delete("Dataset", "tumours")
    sim.settle()
    assert len(sim.names("DatasetVersion")) == 1
    assert {r.kind for r in sim.server.objects} <= {"DatasetVersion", "Event"}


def test_a_deleted_dataset_that_comes_back_finds_its_version(sim: Simulation) -> None:
    sim.apply(builders.dataset())
    sim.settle()
    (version,) = sim.names("DatasetVersion")
    sim.delete("Dataset", "tumours")
    sim.settle()
    sim.apply(builders.dataset())
    sim.settle()
    assert current(sim) == version
    assert sim.names("DatasetVersion") == [version]


def test_a_dataset_that_is_replaced_while_its_job_runs_starts_anew_without_a_stall(sim: Simulation) -> None:
    sim.workloads.rule("tumours-prepare-*", HANGS)
    sim.apply(builders.dataset())
    sim.settle()
    sim.delete("Dataset", "tumours")
    sim.apply(builders.dataset())
    sim.settle()
    assert not sim.events("tumours", "NameTaken")
    job = sim.server.get(Ref("Job", NAMESPACE, sim.names("Job")[0]))
    assert objects.is_controlled_by(job, sim.get("Dataset", "tumours"))


def test_pods_that_cannot_be_made_are_explained(sim: Simulation) -> None:
    sim.workloads.no_pods = 'pods "x" is forbidden: exceeded quota: small'
    sim.apply(builders.dataset())
    sim.advance(30)
    assert sim.condition("Dataset", "tumours") == ("False", "QuotaExceeded")
    sim.workloads.no_pods = ""
    sim.advance(30)
    assert sim.condition("Dataset", "tumours") == ("True", "Current")
