"""tap-hubspot: a HubSpot account as Singer messages."""
