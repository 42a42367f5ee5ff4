"""tap-salesrabbit: leads, their histories, and users of a SalesRabbit account."""
