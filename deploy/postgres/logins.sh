#!/bin/bash
# Run once by the postgres image, in a new cluster: both databases, the roles, and a password for each from a file
# (deploy/compose.yaml). It listens to nobody until this has ended.
set -euo pipefail
secrets=${SECRETS:-/run/secrets}
run() { psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" "$@"; }

run --dbname postgres --command 'CREATE DATABASE board' --command 'CREATE DATABASE airflow'
run --dbname board --file /integrity/roles.sql
# The roles log in to the board's database alone.
run --dbname postgres --command 'REVOKE ALL ON DATABASE postgres, template1, airflow FROM PUBLIC'
for role in migrate ingest rate publish read; do
	# psql reads the file itself, so that no process has the password among its arguments, and quotes it.
	run --dbname board --set role="integrity_$role" <<-SQL
		\\set password \`cat '$secrets/${role}_password'\`
		ALTER ROLE :"role" PASSWORD :'password';
	SQL
done
run --dbname postgres <<-SQL
	\\set password \`cat '$secrets/airflow_password'\`
	CREATE ROLE airflow LOGIN PASSWORD :'password';
SQL
run --dbname postgres --command 'ALTER DATABASE airflow OWNER TO airflow'
