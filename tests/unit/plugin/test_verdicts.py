"""What a report says first, what changed, and what was done: for monitors with a past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mainspring.plan.common import objects
from mainspring.plugin.report import build
from mainspring.plugin.report.facts import Report, Tone
from tests import builders, lives
from tests.lives import Life

Live = Callable[[str], Life]
Tell = Callable[[str], Report]


def with_conditions(life: Life, **statuses: str) -> Report:
    """The report when the monitor's conditions were these."""
    sources = life.sources()
    told = [
        {**c, "status": statuses.get(c["type"], c["status"])} for c in objects.status(sources.monitor)["conditions"]
    ]
    told += [builders.condition(kind, s, kind, f"{kind} says so") for kind, s in statuses.items() if kind == "Stalled"]
    monitor = {**sources.monitor, "status": {**objects.status(sources.monitor), "conditions": told}}
    return build.build_report(replace(sources, monitor=monitor))


@pytest.mark.parametrize(
    ("story", "tone", "words"),
    [
        ("fresh", Tone.UNKNOWN, "Nothing can be said yet: the first window"),
        ("steady", Tone.WELL, "All is well: accuracy is 0.9"),
        ("drifting", Tone.BAD, "The model is not good enough now: accuracy is 0.7"),
        ("recovered", Tone.WELL, "The model recovered: since tumours-v3 took over, accuracy is 0.9"),
        ("regression", Tone.BAD, "mean absolute error is 9.2"),
        ("odd", Tone.ATTENTION, "10 features and predictions are not as the model knows them; accuracy is 0.8"),
    ],
)
def test_the_verdict_is_one_sentence(tell: Tell, story: str, tone: Tone, words: str) -> None:
    report = tell(story)
    assert report.tone is tone
    assert words in report.verdict
    assert report.verdict.endswith(".")
    assert not report.verdict.endswith("..")


def test_unknown_is_never_well() -> None:
    life = Life().go(6)
    assert with_conditions(life).tone is Tone.WELL
    assert with_conditions(life, PerformanceDegraded="Unknown").tone is Tone.UNKNOWN
    assert with_conditions(life, DataSufficient="False").tone is Tone.UNKNOWN


def test_a_monitor_that_cannot_watch_is_the_first_thing_to_know() -> None:
    report = with_conditions(Life().go(6), Stalled="True", DriftDetected="True")
    assert (report.tone, report.verdict) == (Tone.BAD, "Nobody watches this model: Stalled says so.")


def test_a_suspended_monitor_says_nothing_good_or_bad() -> None:
    report = build.build_report(Life().go(4).sources())
    suspended = Life(spec={"suspend": True}).go(1)
    assert report.tone is Tone.WELL
    assert build.build_report(suspended.sources()).verdict == "This model is not watched: its monitor is suspended."


def test_broken_inputs_are_named_before_drift() -> None:
    report = with_conditions(Life().go(6), QualityDegraded="True", DriftDetected="True")
    assert report.tone is Tone.ATTENTION
    assert "worse data" in report.verdict


def test_a_model_without_measured_quality_is_not_called_good() -> None:
    report = build.build_report(Life(spec={"performance": None}).go(4).sources())
    assert report.tone is Tone.UNKNOWN
    assert "is not measured" in report.verdict


def test_drift_that_nobody_can_judge_yet_is_not_called_none() -> None:
    report = build.build_report(Life(spec={"drift": {"baseline": "SamePhase"}}).go(3).sources())
    assert (report.tone, report.windows[-1].moved) == (Tone.UNKNOWN, {})
    assert report.verdict.startswith("Whether requests have changed is not known: waits for a full season")


def test_what_changed_begins_with_what_matters_most(tell: Tell) -> None:
    first, second, *_ = tell("drifting").changed
    assert first.startswith("accuracy is below 0.9 since 2025-06-03")
    assert (
        second == "weight, since 2025-06-02T23:00:00Z: 14 % of rows missing, 0 % in the reference (PSI 1.00 over 0.10)"
    )


def test_after_a_recovery_it_says_what_had_changed(tell: Tell) -> None:
    changed = " ".join(tell("recovered").changed)
    assert f"Before tumours-v3 took over: {lives.MESSAGE}" in changed
    assert "Drifted between 2025-06-02T20:45:00Z and 2025-06-03T04:30:00Z: prediction, stage" in changed


def test_what_was_done_tells_every_outcome(tell: Tell) -> None:
    rejected, promoted = tell("recovered").done
    assert "did not prove better" in rejected
    assert "512 new labelled rows" in rejected
    assert "tumours-v3 came of it, proved better, and took over" in promoted


def test_an_open_need_is_told_with_what_it_waits_for(tell: Tell) -> None:
    (pending,) = tell("drifting").done
    assert pending.startswith("Since 2025-06-03T00:00:00Z the model should be trained anew (PerformanceDegraded): ")
    assert "Dataset tumours" in pending


def test_what_is_not_known_is_not_called_nothing(tell: Tell) -> None:
    assert (tell("fresh").changed, tell("fresh").done) == (["Nothing is known yet"], ["Nothing yet"])
    assert tell("steady").done == ["Nothing had to be done"]


def test_drift_that_starts_nothing_is_explained(tell: Tell) -> None:
    (done,) = tell("odd").done
    assert (
        done == "No retrain was started: it takes PerformanceDegraded over a full season of 2h (spec.retrain.triggers)"
    )


def test_without_a_template_it_is_for_people_to_act() -> None:
    report = build.build_report(Life(spec={"retrain": None}).go(4).sources())
    assert report.done == ["Nothing is done by itself: spec.retrain is not set, so it is for people to act"]


def test_many_retrains_are_told_in_short(tell: Tell) -> None:
    life = Life().go(3)
    for _ in range(4):
        life.go(1).retrain("Failed", "why")
    done = build.build_report(life.sources()).done
    assert len(done) == 4
    assert done[0] == "1 earlier retrains are in the table below"
    assert done[-1].endswith("it failed")


def test_the_psi_of_the_report_is_that_of_the_status(live: Live, tell: Tell) -> None:
    """Computed again from what is remembered, it must be what the operator found."""
    for story in ("drifting", "regression"):
        told = {feature["name"]: feature for feature in live(story).status["features"]}
        found = {subject.name: subject for subject in tell(story).subjects}
        assert {name: found[name].psi for name in told} == {name: f["psi"] for name, f in told.items()}
        assert {name for name, s in found.items() if s.drifted} == {n for n, f in told.items() if f["drifted"]}
        assert {name: found[name].since for name in told} == {name: f.get("since") for name, f in told.items()}


def test_shares_of_a_distribution_are_shares(tell: Tell) -> None:
    for subject in tell("odd").subjects:
        assert sum(bar.reference for bar in subject.bars) == pytest.approx(1)
        assert sum(bar.now for bar in subject.bars) == pytest.approx(1)


def test_many_categories_are_put_together(tell: Tell) -> None:
    kinds = next(subject for subject in tell("odd").subjects if subject.name == "kinds")
    names = [bar.name for bar in kinds.bars]
    assert names[11:] == ["15 more", "other values"]


def test_new_values_and_missing_ones_have_bars_of_their_own(tell: Tell) -> None:
    subjects = {subject.name: subject for subject in tell("drifting").subjects}
    assert [b.name for b in subjects["hospital"].bars if b.special] == ["new values"]
    missing = subjects["weight"].bars[-1]
    assert (missing.name, missing.special, round(missing.now, 2)) == ("missing", True, 0.14)


def test_defects_are_listed_the_worst_first(tell: Tell) -> None:
    found = [(d.column, d.check, d.degraded) for d in tell("drifting").defects]
    assert found == [("weight", "missing", True), ("hospital", "never seen in training", True)]


def test_it_says_what_was_compared(tell: Tell) -> None:
    assert tell("steady").compared_with == "the newest rows of the training data of tumours-v1 (4000 rows)"
    assert tell("fresh").compared_with == "nothing yet"


def test_a_reference_that_was_replaced_is_named(tell: Tell) -> None:
    """After a promotion the first season that was found well takes the place of the reference rows."""
    assert tell("recovered").compared_with == (
        "the season from 2025-06-03T04:30:00Z to 2025-06-03T06:30:00Z (11874 rows), whose predictions were found to be good"
    )


def test_a_gap_is_told() -> None:
    report = build.build_report(Life().sources(gaps=("This could not be read: no",), service=None))
    assert report.notes == ["This could not be read: no", "The InferenceService could not be found."]


def test_a_monitor_without_any_status_has_a_report() -> None:
    sources = Life().sources(monitor=builders.stored(builders.monitor()), windows=(), last=None)
    report = build.build_report(sources)
    assert (report.tone, report.verdict) == (Tone.UNKNOWN, "Nothing can be said yet: the monitor has not begun.")
