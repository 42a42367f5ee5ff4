"""CallRail's API v3, made from the project's API sheet.

Where the sheet is silent or uncertain, `switches.Switches` says what is assumed and offers the
other truth. Known differences from CallRail:

- Read only. Summaries, time series, threads, timelines, message flows, recordings, webhooks are
  left out.
- Of the named date ranges only some are known; a field that is not a filter is ignored.
- `per_page` beyond the limit gives the most allowed. Error bodies are the sandbox's own.
- Conversations are listed by their dates, newest first; texts of one are oldest first.
- What is removed vanishes, but for companies and trackers, which are disabled.
"""

from crm_sandbox.callrail.crm import CallRail

__all__ = ["CallRail"]
