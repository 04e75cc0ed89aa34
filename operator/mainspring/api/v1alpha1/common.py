"""What every kind shares: field types, label keys, conditions in status, pod settings and the description of a CRD.

Every string, list and map has a maximum: without one the API server refuses a CRD that carries CEL rules, because it
must assume the worst cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.alias_generators import to_camel

GROUP = "mainspring.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
FIELD_MANAGER = "mainspring"
SCALE_FIELD_MANAGER = "mainspring-scale"
CATEGORIES = ("mainspring", "mlops")

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_PART_OF = "app.kubernetes.io/part-of"
LABEL_NAME = "app.kubernetes.io/name"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
LABEL_VERSION = "app.kubernetes.io/version"
LABEL_DATASET = f"{GROUP}/dataset"
LABEL_DATASET_VERSION = f"{GROUP}/dataset-version"
LABEL_TRAINING_RUN = f"{GROUP}/training-run"
LABEL_MODEL = f"{GROUP}/model"
LABEL_MODEL_VERSION = f"{GROUP}/model-version"
LABEL_SERVICE = f"{GROUP}/inference-service"
LABEL_REVISION = f"{GROUP}/revision"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_MONITOR = f"{GROUP}/model-monitor"

ANNOTATION_GATES = f"{GROUP}/gates"
ANNOTATION_PROMOTED_AT = f"{GROUP}/promoted-at"
ANNOTATION_REJECTED = f"{GROUP}/rejected"
ANNOTATION_PROVING = f"{GROUP}/proving"
ANNOTATION_VERIFIED = f"{GROUP}/verified"
ANNOTATION_SIGNATURE = f"{GROUP}/signature"
ANNOTATION_FAST_PATH = f"{GROUP}/fast-path"
ANNOTATION_FINISHED = f"{GROUP}/finished"
ANNOTATION_REFRESH = f"{GROUP}/refresh"
ANNOTATION_TRIGGER = f"{GROUP}/trigger"
ANNOTATION_UNTIL = f"{GROUP}/until"
ANNOTATION_PROMOTE = f"{GROUP}/promote"
ANNOTATION_ABORT = f"{GROUP}/abort"
ANNOTATION_RETRAIN_REASON = f"{GROUP}/retrain-reason"
ANNOTATION_RETRAIN_MESSAGE = f"{GROUP}/retrain-message"
ANNOTATION_RETRAIN_NEED = f"{GROUP}/retrain-need"
ANNOTATION_RETRAIN_CHAMPION = f"{GROUP}/retrain-champion"
ANNOTATION_RETRAIN_ROWS = f"{GROUP}/retrain-new-rows"
ANNOTATION_RETRAIN_NUMBER = f"{GROUP}/retrain-number"

NAME_MAX = 40
VERSION_NAME_MAX = 52
NAME_PATTERN = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
WEB_URL_PATTERN = r"^https?://[^\s@/?#]+(/[^\s@#]*)?$"
DIGEST_PATTERN = "^sha256:[0-9a-f]{64}$"


class ApiModel(BaseModel):
    """Base of all API types: camelCase on the wire, snake_case in Python, immutable."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def to_dict(self) -> dict[str, Any]:
        """The wire form: camelCase keys, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX, pattern=NAME_PATTERN)]
VersionName = Annotated[str, Field(min_length=1, max_length=VERSION_NAME_MAX, pattern=NAME_PATTERN)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
ShortText = Annotated[str, Field(max_length=256)]
Text = Annotated[str, Field(max_length=4096)]
Sql = Annotated[str, Field(min_length=1, max_length=8192)]
ColumnName = Annotated[str, Field(min_length=1, max_length=128)]
Uri = Annotated[str, Field(min_length=1, max_length=1024)]
# Without a user: credentials do not belong into an object that everybody may read.
WebUrl = Annotated[str, Field(min_length=8, max_length=1024, pattern=WEB_URL_PATTERN)]
Image = Annotated[str, Field(min_length=1, max_length=512)]
Digest = Annotated[str, Field(pattern=DIGEST_PATTERN, max_length=71)]
Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=32)]
# No days: these are read by CEL, too, which has none.
ShortDuration = Annotated[str, Field(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$", max_length=32)]
Cron = Annotated[str, Field(min_length=9, max_length=128, pattern=r"^\S+\s+\S+\s+\S+\s+\S+\s+\S+$")]
TimeZone = Annotated[str, Field(max_length=64)]
Time = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
Quantity = Annotated[
    str | int,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": QUANTITY_PATTERN,
            "maxLength": 32,
            "x-kubernetes-int-or-string": True,
        }
    ),
]
# A subtree that Kubernetes itself validates where it is used (an affinity, a volume): kept as it is. A map of anything
# and not an object with unknown fields: CEL takes two such objects for equal when only their keys differ (immutability).
Opaque = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {"type": "object", "maxProperties": 64, "additionalProperties": {"x-kubernetes-preserve-unknown-fields": True}}
    ),
]
StringMap = Annotated[dict[str, ShortText], Field(max_length=64)]


def unique_by(key: str) -> dict[str, JsonValue]:
    """A list whose items differ in this field; server-side apply then merges it item by item."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


class Condition(ApiModel):
    """A metav1.Condition."""

    type: Annotated[str, Field(max_length=64)]
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$", max_length=7)]
    reason: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=8192)] = ""
    observed_generation: int = 0
    last_transition_time: Time


Conditions = Annotated[list[Condition], Field(max_length=16, json_schema_extra=unique_by("type"))]


class StatusBase(ApiModel):
    """Fields that the status of every kind has."""

    observed_generation: Annotated[
        int | None,
        Field(description="The generation of the spec that this status speaks about; -1 before the first look."),
    ] = None
    conditions: Annotated[
        Conditions | None, Field(description="Ready, and the abnormal-true Reconciling and Stalled.")
    ] = None


class Resources(ApiModel):
    """Compute resources of the container, as in a Pod."""

    requests: Annotated[dict[str, Quantity] | None, Field(max_length=16, description="What the pod is promised.")] = (
        None
    )
    limits: Annotated[dict[str, Quantity] | None, Field(max_length=16, description="What the pod may use at most.")] = (
        None
    )


class PodTemplate(ApiModel):
    """What may be set on the pods. The security context is ours and cannot be set; who may edit this kind may create pods."""

    labels: Annotated[StringMap | None, Field(description="Extra labels; keys of ours win.")] = None
    annotations: Annotated[dict[str, Text] | None, Field(max_length=64, description="Extra annotations.")] = None
    node_selector: Annotated[StringMap | None, Field(description="Labels that a node must have.")] = None
    tolerations: Annotated[list[Opaque] | None, Field(max_length=32, description="As in a Pod.")] = None
    affinity: Annotated[Opaque | None, Field(description="As in a Pod.")] = None
    topology_spread_constraints: Annotated[list[Opaque] | None, Field(max_length=16, description="As in a Pod.")] = None
    env: Annotated[list[Opaque] | None, Field(max_length=64, description="Environment of the main container.")] = None
    env_from: Annotated[
        list[Opaque] | None,
        Field(max_length=16, description="ConfigMaps and Secrets as environment of the main container."),
    ] = None
    image_pull_secrets: Annotated[
        list[Opaque] | None, Field(max_length=16, description="Beside those of the installation: a list of {name}.")
    ] = None
    priority_class_name: Annotated[ObjectName | None, Field(description="Default: that of the installation.")] = None
    service_account_name: Annotated[
        ObjectName | None, Field(description="Instead of the one that is made for the pods.")
    ] = None
    volumes: Annotated[list[Opaque] | None, Field(max_length=16, description="Extra volumes, as in a Pod.")] = None
    volume_mounts: Annotated[
        list[Opaque] | None, Field(max_length=16, description="Mounts of `volumes` in the main container.")
    ] = None


def exactly_one(*names: str) -> dict[str, str]:
    """A CEL rule: exactly one of these fields is set."""
    terms = ", ".join(f"has(self.{name})" for name in names)
    return {
        "rule": f"[{terms}].filter(x, x).size() == 1",
        "message": f"exactly one of {', '.join(names)} must be set",
    }


def duration_between(of: str, field: str, shortest: str, longest: str) -> dict[str, str]:
    """A CEL rule for a field of `of` that holds a `ShortDuration`, if it is set."""
    value = f"duration(self.{field})"
    return {
        "rule": f"!has(self.{field}) || ({value} >= duration('{shortest}') && {value} <= duration('{longest}'))",
        "message": f"{of}.{field} must be between {shortest} and {longest}",
    }


def validations(*rules: dict[str, str]) -> dict[str, Any]:
    """The `x-kubernetes-validations` of a type, for pydantic's `json_schema_extra`."""
    return {"x-kubernetes-validations": list(rules)}


@dataclass(frozen=True)
class Column:
    """A printer column of `kubectl get`; `wide` ones show only with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True)
class Kind:
    """All that the CRD generator needs to know about a kind."""

    kind: str
    plural: str
    short: str
    spec: type[ApiModel]
    status: type[StatusBase]
    columns: tuple[Column, ...] = ()
    mutable: tuple[str, ...] | None = None  # None: the whole spec may change; else all fields but these are immutable
    scale: bool = False
    name_max: int = NAME_MAX
    rules: tuple[dict[str, str], ...] = ()  # CEL over the whole object, beside the rule on its name
    description: str = field(default="")

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """The full resource name, as in RBAC and `kubectl get`."""
        return f"{self.plural}.{GROUP}"
