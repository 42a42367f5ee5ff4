"""CallRail's API v3 (`apis/callrail.md`)."""

from crm_sandbox.callrail.crm import CallRail

__all__ = ["CallRail"]
