from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mainspring_runtime.model.signature import Signature
from mainspring_runtime.serve.monitoring import bin_names, compiling, series
from mainspring_runtime.serve.monitoring.monitor import Monitor
from mainspring_runtime.serve.monitoring.profile import Feature, Profile
from mainspring_runtime.serve.monitoring.series import MonitoringCollector
from mainspring_runtime.serve.tables import compile_schema
from tests.unit.runtime.serve import fakes
from tests.unit.runtime.serve.monitoring import watching
from tests.unit.runtime.serve.monitoring.watching import FEEDBACK, Watching

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(served: Watching) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(await served.metrics())
        for sample in family.samples
        if sample.name.startswith("mainspring_")
    }


def key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return f"mainspring_{name}", tuple(sorted(({"model": "tumours", "version": "3"} | labels).items()))


def total(samples: Samples, name: str, **labels: str) -> float:
    """The sum over all other labels."""
    wanted = set(labels.items())
    return sum(
        value for (found, having), value in samples.items() if found == f"mainspring_{name}" and wanted <= set(having)
    )


async def test_the_series_are_the_counts_of_the_snapshot(served: Watching) -> None:
    await served.infer(watching.rows(2.0, 18.0, 25.0) | {"stage": ["I", "IX", None], "age": [None, 30, 31]})
    samples, snapshot, reference = await scrape(served), await served.snapshot(), await served.reference()
    assert samples[key("rows_total")] == 3
    assert samples[key("reference_rows")] == 200
    assert samples[key("features_left_out")] == 0
    for counted, expected in zip(snapshot.columns, reference.columns, strict=True):
        assert total(samples, "feature_bin_total", feature=counted.name) == sum(counted.counts)
        assert total(samples, "feature_reference_rows", feature=counted.name) == sum(expected.counts)
        for aside in ("missing", "unseen", "out_of_range"):
            assert samples[key(f"feature_{aside}_total", feature=counted.name)] == getattr(counted, aside)
            assert samples[key(f"feature_reference_{aside}", feature=counted.name)] == getattr(expected, aside)
    assert samples[key("feature_bin_total", feature="stage", bin="I")] == 1
    assert samples[key("feature_unseen_total", feature="stage")] == 1
    assert samples[key("feature_out_of_range_total", feature="radius")] == 1
    assert snapshot.prediction is not None
    assert total(samples, "prediction_bin_total") == sum(snapshot.prediction) == 3
    assert total(samples, "prediction_reference_rows") == 200


async def test_every_bin_has_a_counter_beside_its_reference(served: Watching) -> None:
    samples = await scrape(served)
    for counted, expected in (
        ("feature_bin_total", "feature_reference_rows"),
        ("prediction_bin_total", "prediction_reference_rows"),
    ):
        bins = {labels for name, labels in samples if name == f"mainspring_{counted}"}
        assert bins == {labels for name, labels in samples if name == f"mainspring_{expected}"}
        assert bins, "there from the start, so that rates are right"


async def test_labels_are_counted_by_outcome_class_and_score(served: Watching) -> None:
    tokens = await served.tokens(2.0, 18.0)
    body = [{"token": token, "label": "M"} for token in [*tokens, tokens[0], "forged"]]
    await served.public.post(FEEDBACK, json={"feedback": body})
    samples = await scrape(served)
    outcomes = {outcome: samples[key("feedback_total", outcome=outcome)] for outcome in ("Counted", "Repeated")}
    assert outcomes == {"Counted": 2, "Repeated": 1}
    assert samples[key("feedback_total", outcome="UnknownToken")] == 1
    assert samples[key("feedback_correct_total")] == 1
    assert samples[key("feedback_confusion_total", predicted="B", actual="M")] == 1
    assert samples[key("feedback_confusion_total", predicted="B", actual="B")] == 0
    assert total(samples, "feedback_score_rows_total") == total(samples, "feedback_score_positives_total") == 2


async def test_errors_of_a_regression_have_series() -> None:
    settings = replace(fakes.SETTINGS, feedback_key=watching.KEY)
    signature = Signature(fakes.NUMBERS.inputs, fakes.NUMBERS.outputs[:1], task="Regression")
    monitor = Monitor()
    monitor.watched, _ = compiling.compile_monitoring(settings, signature, Profile(), compile_schema(signature))
    families = {family.name: family for family in MonitoringCollector("tumours", "3", monitor).collect()}
    sums = [sample.labels["sum"] for sample in families["mainspring_feedback_error"].samples]
    assert sums == ["absolute", "squared", "fourth"]
    assert families["mainspring_feedback_label_sum"].type == "gauge", "labels may be negative"


async def test_there_is_nothing_before_a_model() -> None:
    assert list(MonitoringCollector("tumours", "3", Monitor()).collect()) == []


def feature(name: str, bins: int, importance: float | None = None) -> Feature:
    return Feature(name, "Float", {"train": 0}, edges=list(map(float, range(bins - 1))), importance=importance)


@pytest.mark.parametrize(
    ("features", "chosen"),
    [
        ([feature("a", 10), feature("b", 10), feature("c", 10)], ["a", "b"]),
        ([feature("a", 10, 0.1), feature("b", 10, 0.9), feature("c", 10, 0.5)], ["b", "c"]),
        ([feature("a", 20), feature("b", 4), feature("c", 1)], ["a"]),
        ([feature("a", 60)], []),
    ],
)
def test_the_most_important_features_get_series_within_the_budget(features: list[Feature], chosen: list[str]) -> None:
    assert [column.name for column in series.choose(features, max_series=60)] == chosen


async def test_a_gauge_says_how_many_features_are_left_out(profile: Profile, tmp_path: Path) -> None:
    async with watching.serving(profile, watching.KEY) as served:
        collector = MonitoringCollector("tumours", "3", served.parts.monitor, max_series=150)
        families = {family.name: family for family in collector.collect()}
        shown = {sample.labels["feature"] for sample in families["mainspring_feature_bin"].samples}
        count = sum(
            len(family.samples) for name, family in families.items() if "feature_" in name or "prediction_" in name
        )
        assert families["mainspring_features_left_out"].samples[0].value == 8 - len(shown) > 0
        assert 100 < count <= 150
        assert len((await served.snapshot()).columns) == 8, "the snapshot has all of them"


async def test_very_many_classes_do_not_take_the_series_of_the_features(profile: Profile) -> None:
    assert profile.prediction is not None
    classes = [f"class-{number}" for number in range(600)]
    watched = msgspec.structs.replace(
        profile.prediction,
        output="predict",
        edges=None,
        classes=classes,
        counts={"newest": [0] * 600},
        positive=None,
        calibration=None,
    )
    async with watching.serving(replace(profile, prediction=watched)) as served:
        samples = await scrape(served)
    assert total(samples, "features_left_out") == 0
    assert not [name for name, _ in samples if name.startswith("mainspring_prediction_")]


def test_names_of_bins_have_as_many_digits_as_tell_them_apart() -> None:
    assert bin_names.of_numbers([]) == ["(-inf, inf)"]
    assert bin_names.of_numbers([0.1 + 0.2]) == ["(-inf, 0.3)", "[0.3, inf)"]
    assert bin_names.of_numbers([1_700_000_100.5, 1_700_000_101.5])[1] == "[1700000100, 1700000102)"
    assert bin_names.of_times([20_000.0, 20_031.25])[1] == "[2024-10-04, 2024-11-04)"
    assert bin_names.of_times([20_000.0, 20_000.25])[1] == "[2024-10-04T00:00, 2024-10-04T06:00)"


def test_names_of_categories_are_their_own_and_unique() -> None:
    long = ["x" * 100 + end for end in "ab"]
    names = bin_names.of_categories(["I", "(others)", *long])
    assert names[:2] == ["I", "(others)"]
    assert names[-1] == "((others))"
    assert len(set(names)) == 5
    assert max(map(len, names)) <= bin_names.MAX_CHARACTERS
