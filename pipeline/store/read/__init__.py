"""Read-only queries for the API, the exporter and readers' proofs."""
