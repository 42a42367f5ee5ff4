"""tap-arrivy: an Arrivy account as Singer messages."""
