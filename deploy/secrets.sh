#!/bin/sh
# Secrets for compose.yaml, each in a file of its own, made once:  sh deploy/secrets.sh [FOLDER]
# Keep the folder: without the voter key the store does not open again, without the ledger key nothing is published under
# the board's name again, and PostgreSQL takes passwords only when it is new. Files that are there are left as they are;
# values of an earlier deploy/.env are taken over.
#
# The folder is closed to others (0700). The files inside are not (0444), because an engine mounts them into containers
# with their mode, where each service runs as a user of its own and none may read what it does not own.
set -eu
here=$(dirname "$0")
folder=${1:-$here/secrets}
umask 077
mkdir -p "$folder"
chmod 700 "$folder"

keep() { # keep FILE TEXT
	[ -s "$folder/$1" ] && return
	printf '%s\n' "$2" >"$folder/$1.new"
	chmod 444 "$folder/$1.new"
	mv "$folder/$1.new" "$folder/$1"
}

made() { # made NAME BYTES: of the earlier file, else new
	earlier=$([ ! -f "$here/.env" ] || sed -n "s/^$1=//p" "$here/.env")
	echo "${earlier:-$(openssl rand -hex "$2")}"
}

for name in postgres migrate ingest publish rate read airflow airflow_admin grafana; do
	keep "${name}_password" "$(made "$(echo "$name" | tr a-z A-Z)_PASSWORD" 16)"
done
for role in migrate ingest publish rate read; do
	keep "${role}_store" "postgresql://integrity_$role:$(cat "$folder/${role}_password")@postgres/board"
done
keep airflow_database "postgresql+psycopg2://airflow:$(cat "$folder/airflow_password")@postgres/airflow"
keep voter_key "$(made INTEGRITY_VOTER_KEY 32)"
keep ledger_key "$(made INTEGRITY_LEDGER_KEY 32)"
keep airflow_secret "$(made AIRFLOW_SECRET 32)"
