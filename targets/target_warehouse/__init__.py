"""Singer target that loads any tap's records into Postgres and keeps SyncHistory."""
