"""SalesPro's tables: columns, keys, and the column by which changes are found."""

from __future__ import annotations

from dataclasses import dataclass

from tapkit.fields import Field

__all__ = ["OFFICES", "TABLES", "USERS", "Table"]


def _fields(text: str) -> tuple[Field, ...]:
    """Fields written as `name` (text) or `name:type`."""
    parts = (item.partition(":") for item in text.split())
    return tuple(Field(name, kind or "string") for name, _, kind in parts)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: In Athena, and of the stream.
        text: What one row is.
        fields: Its columns.
        key: The columns that tell rows apart. More than one, or none that are always filled:
            the stream's key is a checksum of them.
        changed: The columns by which changes are found, the first one that is filled counts.
            Empty: it is read whole.
        not_empty: A column without which a row means nothing.
        newest: Whether only the newest row of a key counts.
    """

    name: str
    text: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    changed: tuple[str, ...] = ("updated_at", "created_at")
    not_empty: str | None = None
    newest: bool = False


TABLES = (
    Table(
        "customer",
        "a customer",
        _fields(
            "customer_id:object_id estimate_id:object_id company_id:object_id company_name "
            "customer_first_name customer_last_name crm_source crm_source_id created_at:datetime "
            "updated_at:datetime"
        ),
        key=("customer_id",),
        not_empty="customer_id",
    ),
    Table(
        "estimate",
        "an estimate",
        _fields(
            "estimate_id:object_id company_id:object_id company_name office_id:object_id "
            "office_name sales_rep_id:object_id sales_rep_first_name sales_rep_last_name "
            "customer_id:object_id customer_first_name customer_last_name street_address city "
            "state zip_code:zip_code sale_amount:decimal is_sale:boolean job_type "
            "finance_amount:decimal bank_name loan_name down_payment:decimal "
            "has_credit_app:boolean document_count:integer created_at:datetime "
            "updated_at:datetime"
        ),
        key=("estimate_id",),
    ),
    Table(
        "credit_applications",
        "an application for credit",
        _fields(
            "leap_credit_app_id:object_id company_id:object_id company_name "
            "sales_rep_id:object_id customer_id:object_id credit_app_vendor credit_app_vendor_id "
            "credit_app_amount:decimal credit_app_status credit_app_note created_at:datetime "
            "updated_at:datetime"
        ),
        key=("leap_credit_app_id",),
    ),
    Table(
        "lead_results",
        "the answers to the form about an estimate, the newest ones",
        _fields(
            "estimate_id:object_id company_id:object_id lead_results:json created_at:datetime "
            "updated_at:datetime"
        ),
        key=("estimate_id",),
        not_empty="estimate_id",
        newest=True,
    ),
    Table(
        "payments",
        "a payment",
        _fields(
            "payment_id:object_id company_id:object_id company_name customer_id:object_id "
            "payment_amount:decimal payment_type payment_description payment_success:boolean "
            "created_at:datetime updated_at:datetime"
        ),
        key=("payment_id",),
    ),
    Table(
        "user_activity",
        "something that a user did",
        _fields(
            "created_at:datetime user_id:object_id company_id:object_id company_name "
            "local_customer_uuid customer_id:object_id activity_note key_metric "
            "activity_identifier price_type price:decimal original_row_num:integer"
        ),
        key=("created_at", "user_id", "activity_note"),
        changed=("created_at",),
    ),
    Table(
        "measure_sheet",
        "an item of an estimate's measurements",
        _fields(
            "estimate_id:object_id office_id:object_id office_name company_id:object_id "
            "company_name measure_sheet_item_id:object_id quantity:decimal category "
            "measurement_type measure_sheet_item_name measure_sheet_item_price:decimal "
            "created_at:datetime updated_at:datetime"
        ),
        key=(
            *("created_at", "updated_at", "estimate_id"),
            *("measure_sheet_item_id", "measure_sheet_item_name"),
        ),
        changed=(),
    ),
)
"""Every table, in the order in which they are read."""

OFFICES = (
    Field("objectId", "object_id", name="office_id"),
    Field("name"),
    Field("companyId", "object_id", name="company_id"),
    Field("company", name="company_name"),
    Field("canSearchAllEstimates", "boolean", name="can_search_all_estimates"),
    Field("last_edit_user"),
    Field("createdAt", "datetime", name="created_at"),
    Field("updatedAt", "datetime", name="updated_at"),
    Field("last_edit_date", "datetime"),
)
"""The export offices.csv."""

USERS = (
    Field("objectId", "object_id", name="user_object_id"),
    Field("username"),
    Field("nameFirst", name="first_name"),
    Field("nameLast", name="last_name"),
    Field("email", "email"),
    Field("phoneNumber", "phone", name="phone_number"),
    Field("isActive", "boolean", name="is_active"),
    Field("isManager", "boolean", name="is_manager"),
    Field("isAvailableToCall", "boolean", name="is_available_to_call"),
    Field("canActivateUsers", "boolean", name="can_activate_users"),
    Field("canChangeSettings", "boolean", name="can_change_settings"),
    Field("canSubmitCreditApps", "boolean", name="can_submit_credit_apps"),
    Field("disableChangeCompany", "boolean", name="disable_change_company"),
    Field("company", "object_id", name="company_id"),
    Field("selectedOffice", "object_id", name="selected_office"),
    Field("allowedOffices", "json", name="allowed_offices", description="Pointers to offices"),
    Field("identifier"),
    Field("licenseNumber", name="license_number"),
    Field("createdAt", "datetime", name="created_at"),
    Field("updatedAt", "datetime", name="updated_at"),
    Field("lastLoginDate", "datetime", name="last_login_date"),
    Field("deactivatedDate", "datetime", name="deactivated_date"),
)
"""The export users.csv."""
