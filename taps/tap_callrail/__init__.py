"""tap-callrail."""
