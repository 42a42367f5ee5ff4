"""A local HTTP server that behaves like the CRM APIs, for the demo, the tests and the benchmarks."""
