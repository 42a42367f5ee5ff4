"""The SDK's view of the warehouse: where it is, and what a JSON schema becomes in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from singer_sdk.sql import SQLConnector
from sqlalchemy import BigInteger, Boolean, Date, DateTime, LargeBinary, Numeric, Text, Time
from warehouse.address import AddressError, database_address
from warehouse.server import database_url

from target_warehouse.columns import Kind, kind_of
from target_warehouse.settings import refusal

if TYPE_CHECKING:
    from sqlalchemy.types import TypeEngine

__all__ = ["WarehouseConnector"]

_TYPES: Final[dict[Kind, TypeEngine[Any]]] = {
    "boolean": Boolean(),
    "integer": BigInteger(),
    "number": Numeric(),
    "text": Text(),
    "date": Date(),
    "datetime": DateTime(timezone=True),
    "time": Time(),
    "base16": LargeBinary(),
    "base64": LargeBinary(),
}


class WarehouseConnector(SQLConnector):
    """Connector to the configured or the embedded Postgres."""

    allow_column_alter = True
    allow_merge_upsert = True
    allow_overwrite = True

    def get_sqlalchemy_url(self, config: dict[str, Any]) -> str:
        try:
            address = database_address(config)
        except AddressError as error:
            raise refusal(str(error)) from None
        return database_url(address)

    def to_sql_type(self, jsonschema_type: dict[str, Any]) -> TypeEngine[Any]:
        from sqlalchemy.dialects.postgresql import JSONB  # noqa: PLC0415 - slow, no load needs it

        return {**_TYPES, "json": JSONB()}[kind_of(jsonschema_type)]
