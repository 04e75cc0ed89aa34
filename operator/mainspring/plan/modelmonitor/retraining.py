"""When a model is trained anew. A trigger opens a need; a run starts once there is something new to learn from.

    no need ──evidence over a season──► need ──► new data is asked for ──► enough new labelled rows ──► a run
       ▲                                 │ ▲                                                            │
       └── another version is served, ───┘ └──── it failed, or was not better: wait for newer data ◄────┘
           or a season shows that all is well

What a need asks for is decided once: the run's name follows from the need and the data, so that it is made once whatever
happens in between, and no data is tried twice for one need. What became of runs is read from the runs themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from mainspring.api.v1alpha1.common import ANNOTATION_FINISHED
from mainspring.api.v1alpha1.retraining import Need, Retrain, RetrainTrigger
from mainspring.plan.common import conditions, cron, gates, newrows, objects
from mainspring.plan.common.objects import Object
from mainspring.plan.modelmonitor import history
from mainspring.plan.modelmonitor.observed import Observed

LOOK_SECONDS = 15.0
REPLACED, RECOVERED = "Replaced", "Recovered"
RESTORED = (REPLACED, RECOVERED)  # how a need ends well


@dataclass(frozen=True)
class Start:
    """A run to make now."""

    dataset_version: Object
    new_rows: int


@dataclass(frozen=True)
class Decision:
    """`need` as it stands now; at most one of `refresh` and `start`. `triggered`: something is under way."""

    need: Need | None
    reason: str
    message: str
    triggered: bool = False
    refresh: bool = False
    start: Start | None = None
    again: float | None = None  # seconds after which to look again


@dataclass(frozen=True)
class _Case:
    observed: Observed
    asked: Retrain
    need: Need
    now: datetime

    @property
    def tried(self) -> tuple[Object, ...]:
        """Runs for this need, oldest first."""
        return tuple(run for run in self.observed.runs if history.need_of(run) == self.need.since)


def due(observed: Observed, now: datetime) -> datetime | None:
    """The tick of the schedule that nobody has answered yet; missed ones count once."""
    asked = observed.spec.retrain
    if asked is None or asked.schedule is None:
        return None
    tick = cron.last_tick(asked.schedule, asked.time_zone, now)
    answered = objects.status(observed.object).get("lastScheduleTime")
    after = objects.parse_time(answered) if answered else objects.created_at(observed.object)
    return tick if tick > after else None


def open_need(
    observed: Observed, before: Need | None, evidence: Mapping[RetrainTrigger, str], version: str, now: datetime
) -> Need | None:
    """The need that there is, else the one that the evidence opens. A trigger that is not asked for opens none."""
    asked = observed.spec.retrain
    if asked is None or before is not None:
        return before if asked else None
    for trigger in asked.triggers:
        if trigger in evidence:
            since = objects.format_time(now)
            return Need(reason=trigger, message=evidence[trigger], since=since, champion=version)
    return None


def decide(
    observed: Observed, need: Need | None, served: str, well: frozenset[RetrainTrigger], now: datetime
) -> Decision:
    """`served` is the version that answers now; `well` is what a whole season has shown to be all right."""
    if observed.spec.retrain is None:
        return Decision(None, "NotConfigured", "spec.retrain is not set: nothing is started")
    if need is None:
        return Decision(None, "NotNeeded", "there is no reason to train anew")
    if need.champion != served:
        return Decision(None, REPLACED, f"ModelVersion {served} took the place of {need.champion}")
    case = _Case(observed, observed.spec.retrain, need, now)
    return next(found for rule in RULES if (found := rule(case, well)) is not None)


def _running(case: _Case, _: frozenset[RetrainTrigger]) -> Decision | None:
    for run in case.observed.runs:
        if ANNOTATION_FINISHED not in objects.annotations_of(run):
            told = objects.condition(run, conditions.READY) or {}
            text = f"TrainingRun {objects.name(run)} is under way: {told.get('message', 'it has just been made')}"
            return Decision(case.need, "Training", text, triggered=True, again=LOOK_SECONDS)
    return None


def _judged(case: _Case, _: frozenset[RetrainTrigger]) -> Decision | None:
    """The version of the last run is still on its way to being served."""
    version = history.version_of(case.tried[-1], case.observed.versions) if case.tried else None
    if version is None or gates.is_out(version):
        return None
    name = objects.name(version)
    told = objects.status(case.observed.model or {})
    if told.get("champion") == name:
        text = f"ModelVersion {name} is champion; InferenceService {case.observed.spec.service} takes it over"
        return Decision(case.need, "Promoted", text, triggered=True, again=LOOK_SECONDS)
    going = told.get("proving") or {}
    if going.get("version") == name:
        text = (
            f"ModelVersion {name} passed its gates and is rolled out by InferenceService {going.get('service')} first"
        )
        return Decision(case.need, "Proving", text, triggered=True, again=LOOK_SECONDS)
    if (decision := gates.decision(version)) is not None and decision.passed:
        text = f"ModelVersion {name} passed its gates and waits for its promotion"
        return Decision(case.need, "AwaitingPromotion", text, triggered=True)
    text = f"ModelVersion {name} is judged by the gates of its Model"
    return Decision(case.need, "Judging", text, triggered=True, again=LOOK_SECONDS)


def _had_its_turn(case: _Case, _: frozenset[RetrainTrigger]) -> Decision | None:
    """A schedule asks for one run, whatever comes of it: the next tick asks again."""
    if case.need.reason is not RetrainTrigger.SCHEDULE or not case.tried:
        return None
    text = f"TrainingRun {objects.name(case.tried[-1])} was the one that spec.retrain.schedule asked for"
    return Decision(None, "ScheduleAnswered", text)


def _recovered(case: _Case, well: frozenset[RetrainTrigger]) -> Decision | None:
    if case.need.reason not in well:
        return None
    return Decision(None, RECOVERED, f"a whole season without {case.need.reason}: nothing needs to be done any more")


def _given_up(case: _Case, _: frozenset[RetrainTrigger]) -> Decision | None:
    """None of the runs for this need brought a version that is served, and another will hardly do."""
    tried = len(case.tried)
    if tried < case.asked.max_attempts:
        return None
    last = objects.name(case.tried[-1])
    text = f"{case.need.message}; {tried} runs brought nothing better (spec.retrain.maxAttempts): look at TrainingRun {last} and its version, then raise the limit, or promote a version yourself"
    return Decision(case.need, "GaveUp", text)


def _cooling(case: _Case, _: frozenset[RetrainTrigger]) -> Decision | None:
    ends = [history.ended_at(run) for run in case.observed.runs]
    last = max((end for end in ends if end is not None), default=None)
    if last is None:
        return None
    return _wait_until(case, last + objects.parse_duration(case.asked.cooldown), "CoolingDown", "spec.retrain.cooldown")


def _within_budget(case: _Case, _: frozenset[RetrainTrigger]) -> Decision | None:
    period = objects.parse_duration(case.asked.budget.per)
    recent = sorted(made for run in case.observed.runs if (made := objects.created_at(run)) > case.now - period)
    if len(recent) < case.asked.budget.runs:
        return None
    free = recent[-case.asked.budget.runs] + period
    return _wait_until(
        case, free, "BudgetExhausted", f"{len(recent)} runs in {case.asked.budget.per}: spec.retrain.budget"
    )


def _wait_until(case: _Case, moment: datetime, reason: str, why: str) -> Decision | None:
    left = (moment - case.now).total_seconds()
    if left <= 0:
        return None
    text = f"{case.need.message}; the next run may start at {objects.format_time(moment)} ({why})"
    return Decision(case.need, reason, text, again=left)


def _data_there(case: _Case, _: frozenset[RetrainTrigger]) -> Decision | None:
    """The Dataset exists, and is not broken."""
    name = case.asked.template.spec.dataset.name
    dataset = case.observed.dataset
    if dataset is None:
        text = f"waits for Dataset {name} (spec.retrain.template.spec.dataset.name): create it or correct the name"
        return Decision(case.need, "DatasetNotFound", text)
    if objects.condition_is(dataset, conditions.STALLED):
        told = objects.condition(dataset, conditions.STALLED) or {}
        return Decision(case.need, "DatasetBroken", f"Dataset {name} cannot be used: {told.get('message', '')}")
    return None


def _refreshed(case: _Case, _: frozenset[RetrainTrigger]) -> Decision | None:
    """New data was asked for lately, and what there is has been looked at since."""
    if not case.asked.refresh_dataset:
        return None
    every = objects.parse_duration(case.asked.refresh_every)
    asked_at = objects.parse_time(case.need.refreshed_at) if case.need.refreshed_at else None
    name = case.asked.template.spec.dataset.name
    if asked_at is None or case.now - asked_at >= every:
        need = case.need.model_copy(update={"refreshed_at": objects.format_time(case.now)})
        text = f"{case.need.message}; Dataset {name} is asked for new data"
        return Decision(need, "RefreshingData", text, refresh=True, again=LOOK_SECONDS)
    if _looked_at(case.observed.dataset) < asked_at and case.now - asked_at < max(every, timedelta(minutes=10)):
        return Decision(
            case.need,
            "RefreshingData",
            f"{case.need.message}; Dataset {name} is looking for new data",
            again=LOOK_SECONDS,
        )
    return None


def _looked_at(dataset: Object | None) -> datetime:
    checked = objects.status(dataset or {}).get("lastChecked")
    assert dataset is not None  # _data_there said so
    return objects.parse_time(checked) if checked else objects.created_at(dataset)


def _enough_to_learn(case: _Case, _: frozenset[RetrainTrigger]) -> Decision:
    current = objects.status(case.observed.dataset or {}).get("current", "")
    version = next((v for v in case.observed.dataset_versions if objects.name(v) == current), None)
    if version is None:
        return _wait(case, "WaitingForData", f"Dataset {case.asked.template.spec.dataset.name} has no valid version")
    if current in {history.dataset_version_of(run) for run in case.tried}:
        return _wait(case, "WaitingForLabels", f"DatasetVersion {current} was tried already; waits for newer data")
    evidence = newrows.new_rows_since(
        case.observed.dataset_versions, current, trained_on=_learned_from(case), data_cut=_data_cut(case)
    )
    if evidence.rows < case.asked.minimum_new_rows:
        return _wait(
            case, "WaitingForLabels", f"{evidence} of {case.asked.minimum_new_rows} (spec.retrain.minimumNewRows)"
        )
    text = f"{case.need.message}; {evidence} in DatasetVersion {current}: a TrainingRun starts"
    return Decision(
        case.need, "Training", text, triggered=True, start=Start(version, evidence.rows), again=LOOK_SECONDS
    )


def _learned_from(case: _Case) -> str:
    return str(_source(case).get("datasetVersion") or "")


def _data_cut(case: _Case) -> str | None:
    found = _source(case).get("dataCut")
    return str(found) if found else None


def _source(case: _Case) -> dict[str, object]:
    return dict(objects.spec(case.observed.version or {}).get("source") or {})


def _wait(case: _Case, reason: str, why: str) -> Decision:
    every = objects.parse_duration(case.asked.refresh_every).total_seconds() if case.asked.refresh_dataset else None
    return Decision(case.need, reason, f"{case.need.message}; {why}", again=every)


Rule = Callable[[_Case, frozenset[RetrainTrigger]], Decision | None]
RULES: tuple[Rule, ...] = (
    _running,
    _judged,
    _had_its_turn,
    _recovered,
    _given_up,
    _cooling,
    _within_budget,
    _data_there,
    _refreshed,
    _enough_to_learn,
)
