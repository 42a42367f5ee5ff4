"""tap-hubspot: the account's objects, their associations, and the reference data around them."""

from __future__ import annotations

import re
from functools import cached_property
from itertools import permutations
from typing import TYPE_CHECKING, Any, ClassVar

import inflect
from singer_sdk import typing as th
from tapkit.errors import (
    BadRequest,
    ConfigValidationError,
    FatalAPIError,
    NotFound,
    RunEnded,
)
from tapkit.paging import ordered_map
from tapkit.settings import common_settings, secret
from tapkit.tap import Tap

from tap_hubspot import streams
from tap_hubspot.associations import AssociationLabels, Associations
from tap_hubspot.client import HubSpotClient, listed
from tap_hubspot.columns import RECORD_FIELDS
from tap_hubspot.objects import STANDARD_TYPES, Objects, ObjectType

if TYPE_CHECKING:
    from tapkit.stream import Stream

    from tap_hubspot.associations import Pair

__all__ = ["TapHubSpot"]

SENSITIVITIES = ("non_sensitive", "sensitive", "highly_sensitive")
REFUSED = (FatalAPIError, NotFound)
MUST_BE_ENABLED = {"appointments"}
"""Types that an account's object library has switched off unless somebody switched them on."""


class TapHubSpot(Tap):
    """CRM objects with all their properties, associations, owners, pipelines, lists."""

    name = "tap-hubspot"
    field_tables: ClassVar = {
        "each object, beside its properties": RECORD_FIELDS,
        **{
            stream.name: stream.fields
            for stream in (
                Associations,
                AssociationLabels,
                streams.Owners,
                streams.Pipelines,
                streams.PipelineStages,
                streams.Properties,
                streams.Lists,
            )
        },
    }

    config_jsonschema = th.PropertiesList(
        secret(
            "access_token",
            "Access token",
            "A private app's token or a service key. Or give the three of OAuth.",
        ),
        secret("client_id", "Client id", "OAuth: the app's client id."),
        secret("client_secret", "Client secret", "OAuth: the app's client secret."),
        secret("refresh_token", "Refresh token", "OAuth: the refresh token of the installation."),
        th.Property(
            "api_version",
            th.StringType(pattern=r"^\d{4}-\d{2}(-beta)?$"),
            default="2026-09",
            title="API version",
            description="HubSpot's dated API version, which is part of every path.",
        ),
        th.Property(
            "properties",
            th.ObjectType(additional_properties=th.ArrayType(th.StringType)),
            title="Properties",
            description="Stream → names of the properties to read; without it, all of them.",
        ),
        th.Property(
            "association_pairs",
            th.ArrayType(th.StringType(pattern="^[^:]+:[^:]+$")),
            title="Association pairs",
            description=(
                "Which associations to read, as 'contacts:deals' (from:to). Without it, those "
                "between any two selected object streams, in both directions."
            ),
        ),
        th.Property(
            "associations_refresh_days",
            th.IntegerType(minimum=0),
            default=7,
            title="Days between two whole reads of associations",
            description=(
                "HubSpot does not tell which associations changed. Each run reads those of changed "
                "records; after so many days it reads all. 0 reads all in every run."
            ),
        ),
        *common_settings(
            base_url="https://api.hubapi.com", page_size=200, page_size_limit=200, look_back=600
        ),
    ).to_dict()

    def __init__(self, **kwargs: Any) -> None:
        self._denied: dict[str, Exception] = {}
        self._labels: dict[tuple[str, str], list[dict[str, Any]]] = {}
        super().__init__(**kwargs)

    @cached_property
    def client(self) -> HubSpotClient:  # type: ignore[override]
        """The client that all streams share."""
        return HubSpotClient(self.config)

    def discover_streams(self) -> list[Stream]:
        self._check_pairs()
        return [
            *self.objects,
            AssociationLabels(self),
            Associations(self),
            streams.Owners(self),
            streams.Pipelines(self),
            streams.PipelineStages(self),
            streams.Properties(self),
            streams.Lists(self),
        ]

    @cached_property
    def objects(self) -> list[Objects]:
        """The streams of objects."""
        definitions = self.definitions
        return [
            Objects(self, kind, definitions[kind.name], self._denied.get(kind.name))
            for kind in self.object_types
        ]

    @cached_property
    def object_types(self) -> list[ObjectType]:
        """The types of object that this account has."""
        standard = [kind for kind in STANDARD_TYPES if self._is_enabled(kind)]
        taken = {kind.name for kind in STANDARD_TYPES} | self.field_tables.keys()
        return [*standard, *custom_types(self._schemas(), taken)]

    @cached_property
    def definitions(self) -> dict[str, list[dict[str, Any]]]:
        """The properties of each type of object, as the Properties API describes them."""
        answers = ordered_map(
            lambda read: self._read_definitions(*read),
            ((kind, level) for kind in self.object_types for level in SENSITIVITIES),
            workers=self.config["concurrency"],
        )
        definitions: dict[str, dict[str, Any]] = {}
        for name, properties in answers:
            named = ((definition["name"], definition) for definition in properties)
            definitions.setdefault(name, {}).update(named)
        return {name: list(found.values()) for name, found in definitions.items()}

    def pairs(self) -> list[Pair]:
        """The pairs of selected object streams whose associations are read."""
        readable = {item.name: item for item in self.objects if item.selected and not item.denied}
        wanted = self.config.get("association_pairs")
        if wanted is None:
            return list(permutations(readable.values(), 2))
        named = (pair.split(":") for pair in wanted)
        return [
            (readable[one], readable[other]) for one, other in named if {one, other} <= {*readable}
        ]

    def _check_pairs(self) -> None:
        known = {kind.name for kind in self.object_types}
        wanted = self.config.get("association_pairs") or []
        if unknown := {name for pair in wanted for name in pair.split(":")} - known:
            what = (
                f"Setting association_pairs names {', '.join(sorted(unknown))}; "
                f"known are {', '.join(sorted(known))}."
            )
            raise ConfigValidationError(what, errors=[what])

    def association_labels(self, source: Objects, target: Objects) -> list[dict[str, Any]]:
        """The kinds of association from one type to another; none where there can be none."""
        ids = source.object_type.id, target.object_type.id
        if ids not in self._labels:
            try:
                answer = self.client.get(self.client.path("crm/associations", *ids, "labels"))
            except (BadRequest, NotFound):
                answer = {"results": []}
            self._labels[ids] = listed(answer)
        return self._labels[ids]

    def _is_enabled(self, kind: ObjectType) -> bool:
        if kind.name not in MUST_BE_ENABLED:
            return True
        try:
            answer = self.client.get(self.client.path("crm/object-library", "enablement", kind.id))
        except REFUSED as error:
            return _goes_on(error)  # then reading it will tell
        return bool(answer.get("enablement", True))

    def _schemas(self) -> list[dict[str, Any]]:
        """The account's own types of object; none where it may not have or show any."""
        try:
            answer = self.client.get(self.client.path("crm-object-schemas", "schemas"))
        except REFUSED as error:
            _goes_on(error)
            self.logger.warning("Custom objects are left out: %s", error)
            return []
        return listed(answer)

    def _read_definitions(
        self, kind: ObjectType, sensitivity: str
    ) -> tuple[str, list[dict[str, Any]]]:
        """The properties of one type at one level; sensitive ones need scopes of their own."""
        try:
            answer = self.client.get(
                self.client.path("crm/properties", kind.id), {"dataSensitivity": sensitivity}
            )
        except REFUSED as error:
            _goes_on(error)
            if sensitivity == SENSITIVITIES[0]:
                self._denied[kind.name] = error
            return kind.name, []
        return kind.name, listed(answer)


def custom_types(schemas: list[dict[str, Any]], taken: set[str]) -> list[ObjectType]:
    """Name the account's own types.

    The stream is the plural of the schema's name, which unlike its label never changes:
    `division` → `divisions`. Where that name is taken, by a standard type or by an older custom
    one, the type's id is appended: `contacts_2_1234`.
    """
    taken = set(taken)
    types = []
    for schema in sorted(schemas, key=lambda schema: _number(schema["objectTypeId"])):
        name = re.sub(r"[^a-z0-9]+", "_", schema["name"].lower()).strip("_")
        if name[-1:].isalpha() and not _english.singular_noun(name):
            name = _english.plural_noun(name).lower()
        if not name or name in taken:
            name = name or "custom"
            name = f"{name}_{schema['objectTypeId']}".replace("-", "_")
        taken.add(name)
        types.append(ObjectType(name, schema["objectTypeId"], has_pipelines=True))
    return types


_english = inflect.engine()


def _goes_on(error: Exception) -> bool:
    """Whether a refusal concerns only what was asked for; what ends the run is raised again."""
    if isinstance(error, RunEnded):
        raise error
    return True


def _number(object_type_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", object_type_id))
