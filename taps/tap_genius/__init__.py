"""tap-genius: reads a Genius CRM from its MySQL or MariaDB database."""
