"""A local HTTP server that behaves like the CRM APIs: for demo, tests and benchmarks."""
