-- What each role may do with the tables (pipeline/store/schema). Run by integrity_migrate after each migration;
-- running it again changes nothing. tests/integration/test_roles.py holds it against the real verbs.
--
-- A stored vote is not changed, deleted or truncated by anybody but the owner of the tables, and what the owner or a
-- superuser does to it breaks the log's root (`integrity verify` names the leaf).
BEGIN;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM integrity_ingest, integrity_rate, integrity_publish, integrity_read;

-- Opening a store reads both.
GRANT SELECT ON alembic_version, meta TO integrity_ingest, integrity_rate;

-- integrity_ingest: writes votes and never changes one.
GRANT INSERT ON vote, vote_key, duplicate, reject, batch, file_records TO integrity_ingest;
-- A reading that was interrupted and not continued is given up.
GRANT SELECT, INSERT, UPDATE (next_offset, digest) ON file_reading TO integrity_ingest;
GRANT SELECT ON file_records TO integrity_ingest;
-- `work` says how many votes no detector has evaluated.
GRANT SELECT (partition_no, first_offset, next_offset, accepted, late) ON batch TO integrity_ingest;
-- Beside ids, what folding voter states again needs (states are written behind, and a new owner catches up), and what
-- telling a repeat that says the same from one that does not needs.
GRANT SELECT (partition_no, "offset", vote_id, voter, cast_at, appended_at, model_a, model_b, outcome, fate,
              language, category, network, prompt, voter_since, style, flags, turn, session, categories)
  ON vote TO integrity_ingest;
-- The batches count the votes: a worker reports a voter with more than a fifth of them.
GRANT SELECT ON vote_key, batch TO integrity_ingest;
-- Archived votes: their ids, and the votes themselves for what is read of hot ones.
GRANT SELECT ON cold_file, cold_range, cold_ids TO integrity_ingest;
GRANT SELECT, INSERT ON source, model, term, registry_event, registry_reject, in_force, alert_event TO integrity_ingest;
-- The monitor groups alerts into incidents, which are derived from the rest.
GRANT SELECT, INSERT, DELETE ON incident, grouping TO integrity_ingest, integrity_rate;
GRANT SELECT ON incident_event TO integrity_ingest;
GRANT INSERT ON incident_event TO integrity_rate;
GRANT SELECT, INSERT ON partition TO integrity_ingest;
-- Not sealed_offset: what is sealed is not the worker's to say.
GRANT UPDATE (next_offset, epoch, owner, event_time, state_offset, updated_at) ON partition TO integrity_ingest;
GRANT SELECT, INSERT, UPDATE ON voter_state, "window", closed_window, issued_window, detector_state, left_out, position, alert
  TO integrity_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON lease TO integrity_ingest;
GRANT SELECT, INSERT, DELETE ON outbox TO integrity_ingest;
GRANT SELECT ON snapshot TO integrity_ingest;
-- `work` counts votes as never checked unless a backfill evaluated them, and a summary says how many it could not.
GRANT SELECT (run_no, kind, form, summary) ON backlog_run TO integrity_ingest;
GRANT SELECT ON backlog_range TO integrity_ingest;

-- integrity_rate: reads what is stored, appends to the log, the verdicts, the exclusions and the candidates.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO integrity_rate;
GRANT INSERT ON segment, segment_range, blind, frequent_vote, verdict, exclusion, alert_event, snapshot_row TO integrity_rate;
GRANT INSERT, UPDATE ON sealed_total, prompt_count, kept_votes TO integrity_rate;
-- A retraction is asked for by a person and gets its leaf with the seal.
GRANT INSERT ON retraction TO integrity_rate;
GRANT UPDATE (leaf) ON retraction TO integrity_rate;
GRANT INSERT, UPDATE (revoked_at, revoked_by, revoked_reason) ON token TO integrity_rate;
GRANT UPDATE (sealed_offset) ON partition TO integrity_rate;
-- A sweep and an audit open alerts too, and tell of more evidence for those that are open.
GRANT INSERT ON alert, sweep TO integrity_rate;
-- A backfill and the nightly re-evaluation say which votes they evaluated.
GRANT INSERT ON backlog_run, backlog_range TO integrity_rate;
GRANT UPDATE (state, snoozed_until, severity, level, e_value, evidence, over_at) ON alert TO integrity_rate;
-- A candidate has no place in the chain, and only integrity_publish gives it one.
GRANT INSERT (snapshot_id, work_key, log_size, body, reference, rated_at) ON snapshot TO integrity_rate;

-- The operators' log and the notices are appended to, and triggers refuse everything else. The database itself writes
-- which role it was.
GRANT INSERT (at, operator, via, origin, action, target, reason, before, after) ON operator_log
  TO integrity_rate, integrity_read;
GRANT INSERT ON notice TO integrity_rate;

-- integrity_read: columns, never a table, so that it may not lock one either. Not: blinds; voters and sessions (vote, voter_state);
-- hashes of tokens; samples of rejects; what detectors and the outbox hold; the operators' log, of which it counts
-- refused requests.
GRANT SELECT (version_num) ON alembic_version TO integrity_read;
GRANT SELECT (name, value) ON meta TO integrity_read;
GRANT SELECT (source_no, name) ON source TO integrity_read;
GRANT SELECT (partition_no, source_no, number, next_offset, epoch, owner, event_time, sealed_offset, state_offset,
              updated_at) ON partition TO integrity_read;
GRANT SELECT (partition_no, first_offset, next_offset, epoch, read, accepted, late, quarantined, duplicate, rejected)
  ON batch TO integrity_read;
GRANT SELECT (partition_no, "offset", vote_id, cast_at, appended_at, model_a, model_b, outcome, fate, language,
              category, network, prompt, voter_since, style, flags, turn, categories) ON vote TO integrity_read;
GRANT SELECT (partition_no, "offset") ON frequent_vote TO integrity_read;
GRANT SELECT (key, partition_no, "offset") ON vote_key TO integrity_read;
-- Not the keys of archive files: this role reads no archived vote, only whether there are some, and their ids.
GRANT SELECT (file_no, first_leaf, next_leaf, votes, bytes, sha256, chunks, first_at, last_at, archived_at)
  ON cold_file TO integrity_read;
GRANT SELECT (partition_no, first_offset, file_no, next_offset, accepted, late, quarantined, first_appended_at,
              last_appended_at, last_offset, newest_at, newest_accepted_at) ON cold_range TO integrity_read;
GRANT SELECT (run_no, ids, bytes, sha256) ON cold_ids TO integrity_read;
GRANT SELECT (reading_no, partition_no, name, skipped, records, first_offset, next_offset, read_at, digest)
  ON file_reading TO integrity_read;
GRANT SELECT (partition_no, first_offset, reading_no, records) ON file_records TO integrity_read;
GRANT SELECT (partition_no, "offset", first_partition_no, first_offset, same_body) ON duplicate TO integrity_read;
GRANT SELECT (partition_no, "offset", appended_at, reason, detail, origin) ON reject TO integrity_read;
GRANT SELECT (model_no, name) ON model TO integrity_read;
GRANT SELECT (term_no, kind, text) ON term TO integrity_read;
GRANT SELECT (event_no, event_id, at, type, body) ON registry_event TO integrity_read;
GRANT SELECT (source, "offset", appended_at, reason, detail, origin) ON registry_reject TO integrity_read;
GRANT SELECT (sweep_no, log_size, event_no, submitted_before, rejected_before, submitted, rejected, at)
  ON sweep TO integrity_read;
GRANT SELECT (run_no, kind, form, fold_key, summary, rounds, nested_rounds, votes, voters, submitted_before,
              rejected_before, submitted, rejected, at) ON backlog_run TO integrity_read;
GRANT SELECT (run_no, partition_no, first_offset, next_offset) ON backlog_range TO integrity_read;
GRANT SELECT (start, partition_no, accepted, late) ON "window" TO integrity_read;
GRANT SELECT (start, accepted, late) ON closed_window TO integrity_read;
GRANT SELECT (name, position) ON position TO integrity_read;
GRANT SELECT (partition_no, first, "end") ON left_out TO integrity_read;
GRANT SELECT (partition_no, from_offset, sequence) ON in_force TO integrity_read;
GRANT SELECT (event_no, alert_id, at, action, name, reason) ON alert_event TO integrity_read;
GRANT SELECT (segment_no, log_size, leaves, root, edge, sha256, counts, styles, at, boards, labels)
  ON segment TO integrity_read;
GRANT SELECT (segment_no, partition_no, first_offset, next_offset, first_leaf, runs) ON segment_range TO integrity_read;
GRANT SELECT (retraction_no, partition_no, "offset", vote_id, reason, name, at, retracts, leaf)
  ON retraction TO integrity_read;
GRANT SELECT (name, log_size, counts) ON sealed_total TO integrity_read;
GRANT SELECT (sequence, snapshot_id, sha256, leaf, body, checkpoint, votes_checkpoint) ON manifest TO integrity_read;
GRANT SELECT (sequence, witness, line) ON cosignature TO integrity_read;
GRANT SELECT (verdict_id, suite, log_size, success, results, at) ON verdict TO integrity_read;
GRANT SELECT (snapshot_id, work_key, log_size, body, reference, rated_at, sequence, previous, digest, published_at)
  ON snapshot TO integrity_read;
GRANT SELECT (snapshot_id, view, model, rating, lower, upper, rank, rank_best, rank_worst, votes)
  ON snapshot_row TO integrity_read;
GRANT SELECT (kind, name, snapshot_id, event_no, prepared_at, body) ON prepared TO integrity_read;
GRANT SELECT (notice_no, sequence, snapshot_id, text, name, at) ON notice TO integrity_read;
GRANT SELECT (snapshot_id, after, at, moves, released_at, released_by, released_reason)
  ON publication_hold TO integrity_read;
GRANT SELECT (action, at) ON operator_log TO integrity_read;
GRANT SELECT (inputs) ON grouping TO integrity_read;
GRANT SELECT (event_no, incident_id, at, action, name, reason) ON incident_event TO integrity_read;
-- Rows that name voters are read through views, which have the voters' labels; its search_path has them before the
-- tables. A migration that changes these columns drops the views first (DROP SCHEMA reading CASCADE), and this makes
-- them again.
DROP VIEW IF EXISTS reading.alert, reading.exclusion, reading.incident;
CREATE VIEW reading.alert WITH (security_barrier) AS
  SELECT alert_id, detector, severity, subject_kind,
         CASE WHEN subject_kind = 'voter' THEN coalesce(label, 'voter') ELSE subject END AS subject,
         direction, state, opened_at, partition_no, "offset", level, e_value,
         CASE WHEN evidence::jsonb ?| ARRAY['voter', 'voters']
              THEN (evidence::jsonb - 'voter' - 'voters')::text ELSE evidence END AS evidence,
         snoozed_until, over_at, label
  FROM public.alert;
CREATE VIEW reading.exclusion WITH (security_barrier) AS
  SELECT exclusion_no, action, kind,
         CASE WHEN kind = 'voter' THEN coalesce(label, 'voter') ELSE target END AS target,
         reason, name, at, alert_id, label
  FROM public.exclusion;
-- Without the ids that would tie the alerts about one voter, and without the accounts.
CREATE VIEW reading.incident WITH (security_barrier) AS
  SELECT incident_id, opened_at, (body::jsonb - 'alert_ids' - 'former_ids')::text AS body FROM public.incident;
GRANT SELECT ON reading.alert, reading.exclusion, reading.incident TO integrity_read;

-- integrity_publish: besides, gives a candidate its place in the log, signs it, and notes when (in `meta`).
GRANT UPDATE (sequence, previous, digest, published_at) ON snapshot TO integrity_publish;
GRANT INSERT ON manifest, cosignature TO integrity_publish;
GRANT INSERT, UPDATE ON meta TO integrity_publish;
GRANT INSERT ON publication_hold TO integrity_publish;
-- What it prepares for readers follows from what is stored, and most of it is replaced by the next refresh.
GRANT INSERT, UPDATE, DELETE ON prepared TO integrity_publish;
GRANT UPDATE (released_at, released_by, released_reason) ON publication_hold TO integrity_publish;

-- Nobody else changes a vote, not even to forget who cast it: `integrity erase` is run as integrity_migrate.

COMMIT;
