#!/bin/bash
# Run once by the postgres image, in a new cluster: both databases, the roles, and a password for each from the
# environment (deploy/compose.yaml). It listens to nobody until this has ended.
set -euo pipefail
run() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" "$@"; }

run --dbname postgres --command 'CREATE DATABASE board' --command 'CREATE DATABASE airflow'
run --dbname board --file /integrity/roles.sql
for role in migrate ingest rate publish read; do
	variable="${role^^}_PASSWORD"
	# psql quotes it, and takes variables from its input alone.
	run --dbname board --set role="integrity_$role" --set password="${!variable}" \
		<<<"ALTER ROLE :\"role\" PASSWORD :'password'"
done
run --dbname postgres --set password="$AIRFLOW_PASSWORD" <<<"CREATE ROLE airflow LOGIN PASSWORD :'password'"
run --dbname postgres --command 'ALTER DATABASE airflow OWNER TO airflow'
