"""Comparing, quantities, conditions, times, names, settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.plan.common import checks, compare, conditions, objects, quantity, settings
from tests import builders
from tests.chance import SELDOM

NOW = builders.NOW
KEYS = st.sampled_from(["x", "y", "z"])
LEAVES = st.sampled_from([None, True, False, 0, 1, "", "1", "a", "1000m"])
JSON = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(KEYS, LEAVES | st.lists(LEAVES, max_size=2), max_size=2)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=3)


# ---- compare


@SELDOM
@given(JSON)
def test_everything_holds_itself(value: Any) -> None:
    assert compare.holds(value, value)


@SELDOM
@given(OBJECTS, OBJECTS)
def test_what_others_added_to_a_map_does_not_count(desired: dict[str, Any], others: dict[str, Any]) -> None:
    assert compare.holds({**others, **desired}, desired)


@SELDOM
@given(OBJECTS, st.sampled_from(["p", "q"]), LEAVES)
def test_what_is_missing_counts(live: dict[str, Any], key: str, value: Any) -> None:
    assert not compare.holds(live, {**live, key: value})


@pytest.mark.parametrize(
    ("live", "desired", "holds"),
    [
        ("1", "1000m", True),
        ("1Gi", "1024Mi", True),
        (1, "1", True),
        ("1", "2", False),
        ("abc", "abd", False),
        (True, "1", False),
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        ([1, 2], [1], False),
        ([{"a": 1, "b": 2}], [{"a": 1}], True),
        ({"a": [1]}, {"a": []}, False),
        ({}, {"a": []}, True),
        ({}, {"a": {}}, True),
        ({}, {"a": None}, False),
        ("abc", ["a", "b", "c"], False),
        (None, {"a": 1}, False),
    ],
)
def test_what_holds(live: Any, desired: Any, holds: bool) -> None:
    assert compare.holds(live, desired) == holds


# ---- quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("500m", "0.5"),
        ("1Ki", 1024),
        ("1.5Gi", 1610612736),
        ("2k", 2000),
        ("100n", "1e-7"),
        (3, 3),
        ("-1", -1),
        (".5", "0.5"),
    ],
)
def test_quantities_are_numbers(text: str | int, number: int | str) -> None:
    assert quantity.parse(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "1ki", "1e3", "one", "1.2.3"])
def test_what_is_no_quantity_is_none(text: str) -> None:
    assert quantity.parse(text) is None


@SELDOM
@given(st.integers(0, 10**6))
def test_a_thousand_thousandths_are_one(number: int) -> None:
    assert quantity.parse(f"{number}000m") == quantity.parse(number)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1572864, "1.5 MiB"), (1024**3 * 5, "5.0 GiB"), (1024**4, "1024.0 GiB")],
)
def test_bytes_are_readable(count: int, text: str) -> None:
    assert quantity.readable_bytes(count) == text


# ---- conditions


@pytest.mark.parametrize(
    ("verdict", "types"),
    [
        (conditions.ready("A", "a"), {"Ready": "True"}),
        (conditions.reconciling("A", "a"), {"Ready": "Unknown", "Reconciling": "True"}),
        (conditions.stalled("A", "a"), {"Ready": "False", "Stalled": "True"}),
    ],
)
def test_a_verdict_is_ready_and_at_most_one_abnormal_condition(
    verdict: conditions.Verdict, types: dict[str, str]
) -> None:
    assert {c.type: c.status for c in verdict.conditions()} == types


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    told = {"conditions": [{**builders.condition("Ready", "True", "A"), "lastTransitionTime": builders.at(-9)}]}
    owner = builders.stored(builders.model(), told)
    same, other = (
        conditions.build_conditions(owner, verdict, (), NOW)[0]["lastTransitionTime"]
        for verdict in (conditions.ready("B", "b"), conditions.stalled("B", "b"))
    )
    assert (same, other) == (builders.at(-9), builders.at(0))


def test_messages_are_bounded() -> None:
    (ready,) = conditions.build_conditions(
        builders.stored(builders.model()), conditions.ready("A", "x" * 9000), (), NOW
    )
    assert len(ready["message"]) == conditions.MESSAGE_MAX


def test_a_status_leaves_out_what_is_not_known() -> None:
    owner = builders.stored(builders.model(), generation=3)
    status = conditions.build_status(owner, conditions.ready("A", "a"), NOW, {"champion": None, "versions": 0})
    assert set(status) == {"versions", "observedGeneration", "conditions"}
    assert status["observedGeneration"] == 3


def test_kept_conditions_are_those_that_are_there() -> None:
    owner = builders.stored(builders.model(), {"conditions": [builders.condition("Valid", "True", "A", "text")]})
    assert conditions.kept(owner, "Valid", "Other") == (conditions.Condition("Valid", "True", "A", "text"),)


# ---- objects


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604800), ("1.5h", 5400), ("250ms", 0.25)]
)
def test_durations(text: str, seconds: float) -> None:
    assert objects.parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "90", "s", "1h 30m", "1w", "-5m"])
def test_what_is_no_duration_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        objects.parse_duration(text)


def test_times_are_written_in_whole_seconds_of_utc() -> None:
    moment = datetime(2025, 6, 2, 10, 0, 0, 999999, tzinfo=timezone(timedelta(hours=2)))
    assert objects.format_time(moment) == "2025-06-02T08:00:00Z"
    assert objects.parse_time("2025-06-02T08:00:00Z") == datetime(2025, 6, 2, 8, tzinfo=UTC)


@SELDOM
@given(OBJECTS)
def test_a_hash_does_not_depend_on_the_order_of_keys(value: dict[str, Any]) -> None:
    turned = dict(reversed(list(value.items())))
    assert objects.stable_hash(value) == objects.stable_hash(turned)


def test_a_hash_has_the_length_that_is_asked_for() -> None:
    assert len(objects.stable_hash([1], 6)) == 6
    assert objects.stable_hash([1]).isalnum()


def test_the_newest_is_the_one_made_last_and_between_equals_the_name_decides() -> None:
    made = [builders.stored(builders.model(name), created=builders.at(m)) for name, m in (("b", 1), ("a", 2), ("c", 2))]
    found = objects.newest(made)
    assert found is not None
    assert objects.name(found) == "c"
    assert objects.newest([]) is None


def test_an_owner_reference_controls_but_never_blocks_a_deletion() -> None:
    owner = builders.stored(builders.model())
    child = {"metadata": {"name": "c", "ownerReferences": [objects.owner_reference(owner)]}}
    assert objects.is_controlled_by(child, owner)
    assert child["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is False
    assert not objects.is_controlled_by({"metadata": {"name": "c"}}, owner)


# ---- checks


def test_failed_checks_are_described_with_rows_and_examples() -> None:
    version = builders.dataset_version(checks={"a": 0, "b": 2})
    version["spec"]["checks"][1]["examples"] = ["7", "9"]
    assert not checks.is_valid(version)
    assert checks.describe_failed(version) == 'check "b" returned 2 rows (e.g. 7, 9)'


def test_a_version_without_checks_is_valid() -> None:
    assert checks.is_valid(builders.dataset_version())


# ---- settings

BASE = {"MAINSPRING_RUNTIME_IMAGE": "r", "MAINSPRING_JOBS_IMAGE": "j", "MAINSPRING_NAMESPACE": "system"}
OWN_STORE = {**BASE, "MAINSPRING_ARTIFACTS_URI": "s3://mine/"}
EMBEDDED = {**BASE, "MAINSPRING_STORE_ENDPOINT": "http://s:7070", "MAINSPRING_STORE_ADMIN_ENDPOINT": "http://s:7071"}


def test_settings_come_from_the_environment() -> None:
    lists = {"MAINSPRING_WATCH_NAMESPACES": "a, b,", "MAINSPRING_POD_ENV": '{"HTTP_PROXY": "p", "N": 1}'}
    found = settings.from_env({**OWN_STORE, **lists})
    assert found.watch_namespaces == ("a", "b")
    assert found.pod_env == {"HTTP_PROXY": "p", "N": "1"}


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({}, "MAINSPRING_RUNTIME_IMAGE, MAINSPRING_JOBS_IMAGE, MAINSPRING_NAMESPACE"),
        (BASE, "MAINSPRING_ARTIFACTS_URI, or both"),
        ({**OWN_STORE, "MAINSPRING_POD_ENV": "{"}, "MAINSPRING_POD_ENV is not JSON"),
        ({**OWN_STORE, "MAINSPRING_POD_ENV": "[]"}, "MAINSPRING_POD_ENV must be a JSON object"),
    ],
)
def test_a_wrong_setting_is_named(env: dict[str, str], says: str) -> None:
    with pytest.raises(settings.SettingsError, match=says):
        settings.from_env(env)


def test_where_artifacts_live() -> None:
    assert settings.from_env(OWN_STORE).artifact_root("lab") == "s3://mine/lab"
    assert settings.from_env(EMBEDDED).artifact_root("lab") == "s3://ns-lab/lab"


@SELDOM
@given(st.integers(1, 63))
def test_a_bucket_has_a_legal_name(length: int) -> None:
    assert 3 <= len(settings.bucket_name("n" * length)) <= 63
