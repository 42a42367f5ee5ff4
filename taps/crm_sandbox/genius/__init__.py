"""The database of a Genius CRM: its tables and made-up rows, for tests and benchmarks."""
