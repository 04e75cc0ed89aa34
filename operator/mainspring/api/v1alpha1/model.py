"""Model: the registry entry with gates, aliases and history."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from mainspring.api.v1alpha1.common import (
    ApiModel,
    Column,
    Duration,
    Kind,
    Name,
    ObjectName,
    Quantity,
    ShortText,
    StatusBase,
    StringMap,
    Text,
    Time,
    VersionName,
    exactly_one,
    unique_by,
    validations,
)
from mainspring.api.v1alpha1.trainingrun import Metric

HISTORY_MAX = 50
GATES_MAX = 32


class ComparisonMode(StrEnum):
    NON_INFERIOR = "NonInferior"
    NOT_WORSE = "NotWorse"
    BETTER = "Better"


class VersusChampion(ApiModel):
    """Paired comparison with the champion, on rows that neither model was trained on."""

    margin: Annotated[float, Field(ge=0.0, le=1e9, description="In units of the metric; Better has none.")] = 0.01
    mode: Annotated[
        ComparisonMode,
        Field(
            description="NonInferior passes if the lower 95 % bound is at least -margin; NotWorse fails only if the upper bound is below -margin; Better passes if the lower bound is above 0."
        ),
    ] = ComparisonMode.NOT_WORSE


class GateRows(StrEnum):
    ALL = "All"
    RECENT = "Recent"


class ArtifactSize(ApiModel):
    maximum: Annotated[Quantity, Field(description="Bytes, as a quantity.")]


class Gate(ApiModel):
    """One condition for promotion. Bounds are compared with the metric's 95 % interval."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            exactly_one("metric", "artifactSize"),
            {
                "rule": "!has(self.metric) || has(self.minimum) || has(self.maximum) || has(self.versusChampion)",
                "message": "a metric gate needs minimum, maximum or versusChampion",
            },
            {
                "rule": "has(self.metric) || !(has(self.minimum) || has(self.maximum) || has(self.versusChampion) || has(self.rows))",
                "message": "minimum, maximum, versusChampion and rows belong to a metric gate",
            },
            {
                "rule": "!has(self.versusChampion) || !(has(self.minimum) || has(self.maximum))",
                "message": "versusChampion stands alone: put minimum and maximum into a gate of their own",
            },
            {
                "rule": "!has(self.minimum) || !has(self.maximum) || self.minimum <= self.maximum",
                "message": "minimum must not be greater than maximum",
            },
            {
                "rule": "!has(self.rows) || has(self.versusChampion)",
                "message": "rows is only for versusChampion",
            },
        )
    )

    name: Annotated[str, Field(min_length=1, max_length=63, description="Named in messages.")]
    metric: Annotated[Metric | None, Field(description="A metric on the held-out rows.")] = None
    minimum: Annotated[float | None, Field(description="Fails when the whole interval lies below.")] = None
    maximum: Annotated[float | None, Field(description="Fails when the whole interval lies above.")] = None
    versus_champion: Annotated[
        VersusChampion | None, Field(description="Compare with the champion; passes when there is none.")
    ] = None
    # Not `on`: to YAML 1.1, which kubectl and Helm read, that word is the boolean true.
    rows: Annotated[
        GateRows | None,
        Field(description="Rows to compare on; default Recent when the Dataset has a timestamp, else All."),
    ] = None
    artifact_size: Annotated[ArtifactSize | None, Field(description="Limit on the files of the version.")] = None


class PromotionMode(StrEnum):
    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


class Promotion(ApiModel):
    mode: Annotated[PromotionMode, Field(description="Manual: the champion moves only by spec.aliases.champion.")] = (
        PromotionMode.AUTOMATIC
    )
    proven_by: Annotated[
        Name | None,
        Field(
            description="An InferenceService that follows this Model: it rolls out each candidate first, and only then the champion moves."
        ),
    ] = None
    candidate_deadline: Annotated[
        Duration, Field(description="A candidate without a verdict after so long is rejected; with `provenBy`.")
    ] = "24h"


class Verification(ApiModel):
    """Signatures in the format of OpenSSF Model Signing, made with a key (P-256, P-384 or P-521)."""

    public_key_secret: Annotated[
        ObjectName,
        Field(description="A Secret whose key `public.pem` holds public keys in PEM, one after another."),
    ]


class Signing(ApiModel):
    """Training signs what it publishes, in a container that runs no code of users."""

    private_key_secret: Annotated[
        ObjectName,
        Field(
            description="A Secret whose key `private.pem` holds the private key in PEM, and `password` its password, if it has one."
        ),
    ]


class ModelSpec(ApiModel):
    owner: Annotated[ShortText | None, Field(description="Who answers for the model.")] = None
    description: Annotated[Text | None, Field(description="What it predicts.")] = None
    intended_use: Annotated[Text | None, Field(description="What it is for.")] = None
    limitations: Annotated[Text | None, Field(description="What it is not for.")] = None
    license: Annotated[ShortText | None, Field(description="SPDX identifier.")] = None
    tags: Annotated[StringMap | None, Field(description="Free labels for the model card.")] = None
    gates: Annotated[
        list[Gate] | None,
        Field(
            max_length=GATES_MAX,
            json_schema_extra=unique_by("name"),
            description="Conditions that a version must meet before it can become champion.",
        ),
    ] = None
    promotion: Annotated[Promotion, Field(description="How the champion moves.")] = Promotion()
    aliases: Annotated[
        dict[str, VersionName] | None,
        Field(max_length=16, description="Names for versions. `champion` is a pin: it overrides the automation."),
    ] = None
    allow_pickle: Annotated[
        bool, Field(description="Accept joblib and pickle files, which run code when they are loaded.")
    ] = False
    trusted_types: Annotated[
        list[ShortText] | None, Field(max_length=128, description="Further types that a skops file may contain.")
    ] = None
    verification: Annotated[
        Verification | None, Field(description="No version is used unless its signature verifies.")
    ] = None
    signing: Annotated[Signing | None, Field(description="Sign what is trained.")] = None
    retain: Annotated[int, Field(ge=1, le=500, description="Versions to keep; those in use stay.")] = 20


class HistoryEntry(ApiModel):
    version: Annotated[VersionName, Field(description="The version that moved.")]
    from_: Annotated[VersionName | None, Field(alias="from", description="The champion before.")] = None
    to: Annotated[str, Field(max_length=32, description="Champion or Rejected.")]
    reason: Annotated[str, Field(max_length=64, description="Why.")]
    actor: Annotated[ShortText, Field(description="Who: a person's pin, or the operator.")]
    message: Annotated[ShortText | None, Field(description="What the service said that rolled it out.")] = None
    time: Annotated[Time, Field(description="When.")]


class Proving(ApiModel):
    """A version on its way to be champion: `promotion.provenBy` rolls it out."""

    version: Annotated[VersionName, Field(description="The version.")]
    service: Annotated[Name, Field(description="Where it is rolled out.")]
    since: Annotated[Time, Field(description="When it was sent there.")]


class ModelStatus(StatusBase):
    champion: Annotated[VersionName | None, Field(description="The version that is in use.")] = None
    candidate: Annotated[
        VersionName | None, Field(description="The version that is being judged or waits for promotion.")
    ] = None
    aliases: Annotated[
        dict[str, VersionName] | None, Field(max_length=16, description="Names and the versions they stand for now.")
    ] = None
    proving: Annotated[Proving | None, Field(description="The candidate that is being rolled out first.")] = None
    versions: Annotated[int | None, Field(description="Versions that are kept.")] = None
    last_number: Annotated[int | None, Field(description="The highest number ever given; never reused.")] = None
    promotions: Annotated[int | None, Field(description="How often the champion moved.")] = None
    rollbacks: Annotated[int | None, Field(description="How often it moved to an older version.")] = None
    rejected: Annotated[int | None, Field(description="Versions that did not pass.")] = None
    rejected_by_rollout: Annotated[
        int | None, Field(description="How often a candidate passed its gates and was rejected by `provenBy`.")
    ] = None
    last_proving_seconds: Annotated[
        int | None, Field(description="How long the last candidate was rolled out until there was a verdict.")
    ] = None
    last_lead_time_seconds: Annotated[
        int | None, Field(description="From the start of the training to the promotion.")
    ] = None
    history: Annotated[
        list[HistoryEntry] | None, Field(max_length=HISTORY_MAX, description="The last 50 decisions.")
    ] = None


MODEL = Kind(
    kind="Model",
    plural="models",
    short="mdl",
    spec=ModelSpec,
    status=ModelStatus,
    columns=(
        Column("Champion", ".status.champion"),
        Column("Candidate", ".status.candidate"),
        Column("Versions", ".status.versions", "integer"),
        Column("Proving", ".status.proving.version", wide=True),
        Column("Owner", ".spec.owner", wide=True),
        Column("Mode", ".spec.promotion.mode", wide=True),
    ),
    description="A registry entry: gates, promotion, aliases and history.",
)
