-- What each role may do with the tables (pipeline/store/schema). Run by integrity_migrate after each migration;
-- running it again changes nothing. tests/integration/test_roles.py holds it against the real verbs.
--
-- A stored vote is not changed, deleted or truncated by anybody but the owner of the tables, and what the owner or a
-- superuser does to it breaks the log's root (`integrity verify` names the leaf).
BEGIN;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM integrity_ingest, integrity_rate, integrity_publish, integrity_read;

-- Opening a store reads both. It also takes a lock on `meta` for a moment, so that of two processes that make a
-- store one waits: MAINTAIN (PostgreSQL 17 and later) allows a lock and no change.
GRANT SELECT ON alembic_version, meta TO integrity_ingest, integrity_rate, integrity_read;
GRANT MAINTAIN ON meta TO integrity_ingest, integrity_rate, integrity_read;

-- integrity_ingest: writes votes and never changes one.
GRANT INSERT ON vote, vote_key, duplicate, reject, batch, file_records TO integrity_ingest;
-- A reading that was interrupted and not continued is given up.
GRANT SELECT, INSERT, UPDATE (next_offset, digest) ON file_reading TO integrity_ingest;
GRANT SELECT ON file_records TO integrity_ingest;
-- Beside ids, what folding voter states again needs (states are written behind, and a new owner catches up), and what
-- telling a repeat that says the same from one that does not needs.
GRANT SELECT (partition_no, "offset", vote_id, voter, cast_at, appended_at, model_a, model_b, outcome, fate,
              language, category, network, prompt, voter_since, style) ON vote TO integrity_ingest;
-- The batches count the votes: a worker reports a voter with more than a fifth of them.
GRANT SELECT ON vote_key, batch TO integrity_ingest;
GRANT SELECT, INSERT ON source, model, term, registry_event, registry_reject, in_force, alert_event TO integrity_ingest;
GRANT SELECT, INSERT ON partition TO integrity_ingest;
-- Not sealed_offset: what is sealed is not the worker's to say.
GRANT UPDATE (next_offset, epoch, owner, event_time, state_offset, updated_at) ON partition TO integrity_ingest;
GRANT SELECT, INSERT, UPDATE ON voter_state, "window", closed_window, detector_state, left_out, position, alert
  TO integrity_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON lease TO integrity_ingest;
GRANT SELECT, INSERT, DELETE ON outbox TO integrity_ingest;
GRANT SELECT ON snapshot TO integrity_ingest;

-- integrity_rate: reads what is stored, appends to the log, the verdicts, the exclusions and the candidates.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO integrity_rate, integrity_read;
GRANT INSERT ON segment, segment_range, blind, verdict, exclusion, alert_event, snapshot_row TO integrity_rate;
GRANT INSERT, UPDATE ON sealed_total TO integrity_rate;
-- A retraction is asked for by a person and gets its leaf with the seal.
GRANT INSERT ON retraction TO integrity_rate;
GRANT UPDATE (leaf) ON retraction TO integrity_rate;
GRANT INSERT, UPDATE (revoked_at, revoked_by, revoked_reason) ON token TO integrity_rate;
GRANT UPDATE (sealed_offset) ON partition TO integrity_rate;
-- A sweep and an audit open alerts too, and tell of more evidence for those that are open.
GRANT INSERT ON alert, sweep TO integrity_rate;
GRANT UPDATE (state, snoozed_until, severity, level, e_value, evidence, over_at) ON alert TO integrity_rate;
-- A candidate has no place in the chain, and only integrity_publish gives it one.
GRANT INSERT (snapshot_id, work_key, log_size, body, reference, rated_at) ON snapshot TO integrity_rate;

-- integrity_publish: besides, gives a candidate its place in the log, signs it, and notes when (in `meta`).
GRANT UPDATE (sequence, previous, digest, published_at) ON snapshot TO integrity_publish;
GRANT INSERT ON manifest, cosignature TO integrity_publish;
GRANT INSERT, UPDATE ON meta TO integrity_publish;

-- Nobody else changes a vote, not even to forget who cast it: `integrity erase` is run as integrity_migrate.

COMMIT;
