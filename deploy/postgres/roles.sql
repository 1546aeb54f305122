-- The five roles of a board's database, and the database's own doors. Run by a superuser, in that database, before
-- the store is made; running it again changes nothing. Where nobody is a superuser, the owner of the database who may
-- create roles runs it after SET createrole_self_grant = 'set, inherit'; a warning says what could not be closed. Passwords are set elsewhere (logins.sh for compose).
--
--   integrity_migrate   owns the tables: `integrity migrate` as this role makes the store and brings it up to date
--   integrity_ingest    workers and the monitor
--   integrity_rate      seal, check, rate, sweep, verify; and whoever decides about alerts and votes by hand
--   integrity_publish   all of that, and makes a candidate the latest snapshot: the refresh in Airflow
--   integrity_read      the exporter, the page, the leaderboard: columns, without blinds, voters and token hashes
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

-- The reading role meets views instead of the tables whose rows name voters (grants.sql).
CREATE SCHEMA IF NOT EXISTS reading AUTHORIZATION integrity_migrate;
GRANT USAGE ON SCHEMA reading TO integrity_read;
DO $$
BEGIN
    EXECUTE format('ALTER ROLE integrity_read IN DATABASE %I SET search_path = reading, public', current_database());
END $$;

-- No code of one's own: a DO block could loop for ever. The triggers of the tables belong to integrity_migrate.
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO integrity_migrate;

-- Functions that write or lock without a privilege on a table: large objects fill the disk, and whoever holds the
-- advisory lock of publications stops them.
DO $$
DECLARE
    named regprocedure;
    refused integer := 0;
BEGIN
    FOR named IN
        SELECT p.oid::regprocedure FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
          AND (p.proname ~ '^lo_' OR p.proname IN ('loread', 'lowrite') OR p.proname ~ '^pg_(try_)?advisory_')
    LOOP
        BEGIN
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', named);
        EXCEPTION WHEN insufficient_privilege THEN
            refused := refused + 1;
        END;
    END LOOP;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE WARNING 'not a superuser: the roles keep EXECUTE on functions of large objects and advisory locks, and USAGE of plpgsql (% refused)', refused;
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION pg_advisory_xact_lock(bigint) TO integrity_migrate, integrity_rate;

GRANT integrity_rate TO integrity_publish;
