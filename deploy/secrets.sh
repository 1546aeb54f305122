#!/bin/sh
# Secrets for compose.yaml, made once:  sh deploy/secrets.sh > deploy/.env
# Keep the file: without the voter key the store does not open again, without the ledger key nothing is published under
# the board's name again, and PostgreSQL takes passwords only when it is new.
set -eu
for name in POSTGRES_PASSWORD MIGRATE_PASSWORD INGEST_PASSWORD PUBLISH_PASSWORD RATE_PASSWORD READ_PASSWORD \
	AIRFLOW_PASSWORD AIRFLOW_ADMIN_PASSWORD GRAFANA_PASSWORD; do
	echo "$name=$(openssl rand -hex 16)"
done
for name in INTEGRITY_VOTER_KEY INTEGRITY_LEDGER_KEY AIRFLOW_SECRET; do
	echo "$name=$(openssl rand -hex 32)"
done
