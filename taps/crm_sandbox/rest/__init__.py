"""What the sandboxes of simple REST CRMs share: tables of JSON records, commands, limits, pages."""

from crm_sandbox.rest.crm import Record, RestCrm
from crm_sandbox.rest.paging import Page, page_of, whole_number

__all__ = ["Page", "Record", "RestCrm", "page_of", "whole_number"]
