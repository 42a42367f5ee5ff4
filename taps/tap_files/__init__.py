"""tap-files: CSV and JSON lines from disks, the web, object stores and GitHub."""
