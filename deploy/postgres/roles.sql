-- The five roles of a board's database, and the database's own doors. Run by a superuser, in that database, before
-- the store is made; running it again changes nothing. Passwords are set elsewhere (logins.sh for compose).
--
--   integrity_migrate   owns the tables: `integrity migrate` as this role makes the store and brings it up to date
--   integrity_ingest    workers and the monitor
--   integrity_rate      seal, check, rate, sweep; and whoever acknowledges an alert or excludes a vote by hand
--   integrity_publish   all of that, and makes a candidate the latest snapshot: the refresh in Airflow
--   integrity_read      the exporter, the leaderboard, verification
--
-- What each may do is in grants.sql, which needs the tables.
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY[
        'integrity_migrate', 'integrity_ingest', 'integrity_rate', 'integrity_publish', 'integrity_read'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            -- Without a password nobody logs in over the network.
            EXECUTE format('CREATE ROLE %I LOGIN', role);
        END IF;
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
    END LOOP;
    -- Nobody else has business here, and nobody but the owner of the tables makes more of them.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    GRANT CREATE ON SCHEMA public TO integrity_migrate;
END $$;

GRANT integrity_rate TO integrity_publish;
