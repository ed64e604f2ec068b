-- +goose Up
-- Times are microseconds since 1970 UTC (suffix _us). UUIDs are lower-case text, PIDs have no dash.
-- Columns named pps and *password hold encrypted cells (see cell.go), never clear text.
CREATE TABLE csti_configuration (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE csti_profiles (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE TABLE csti_uuid_maps (uuid TEXT PRIMARY KEY, fqdn TEXT NOT NULL,
  profile_id BIGINT REFERENCES csti_profiles(id), ad_ou TEXT, source TEXT NOT NULL, updated_us BIGINT NOT NULL);
CREATE INDEX csti_uuid_maps_fqdn ON csti_uuid_maps (fqdn);
CREATE TABLE csti_pid_map (id BIGINT PRIMARY KEY, pid TEXT NOT NULL UNIQUE, pps BYTEA NOT NULL,
  current_password BYTEA, admin_password BYTEA, used INTEGER NOT NULL DEFAULT 0, uuid TEXT, updated_us BIGINT NOT NULL DEFAULT 0);
CREATE TABLE csti_amts (uuid TEXT PRIMARY KEY, fqdn TEXT, ip TEXT NOT NULL, version TEXT, pid TEXT,
  state INTEGER NOT NULL DEFAULT 0, profile_id BIGINT, admin_password BYTEA,
  first_hello_us BIGINT NOT NULL, last_hello_us BIGINT NOT NULL, hellos BIGINT NOT NULL DEFAULT 1, last_error TEXT,
  hello_version INTEGER NOT NULL DEFAULT 0, changed_us BIGINT NOT NULL DEFAULT 0);
CREATE INDEX csti_amts_pid ON csti_amts (pid) WHERE pid IS NOT NULL;
CREATE TABLE csto_queue_entries (uuid TEXT PRIMARY KEY, kind INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  enqueued_us BIGINT NOT NULL, again INTEGER NOT NULL DEFAULT 0, claimed_by TEXT, lease_us BIGINT);
CREATE INDEX csto_queue_ready ON csto_queue_entries (enqueued_us) WHERE claimed_by IS NULL;
CREATE TABLE csto_delayed_entries (uuid TEXT PRIMARY KEY, kind INTEGER NOT NULL, attempts INTEGER NOT NULL,
  due_us BIGINT NOT NULL, reason TEXT NOT NULL, since_us BIGINT NOT NULL DEFAULT 0);
CREATE INDEX csto_delayed_due ON csto_delayed_entries (due_us);
CREATE TABLE csti_log (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at_us BIGINT NOT NULL, uuid TEXT, severity INTEGER NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX csti_log_uuid ON csti_log (uuid, at_us);
CREATE TABLE secret_keys (id BIGINT PRIMARY KEY, wrapped BYTEA NOT NULL, created_us BIGINT NOT NULL, active INTEGER NOT NULL);
CREATE TABLE servers (name TEXT PRIMARY KEY, address TEXT NOT NULL, heartbeat_us BIGINT NOT NULL);

INSERT INTO csti_profiles (id, name, body) VALUES (1, 'default', '{"network_password":"random","tls":"off"}');
INSERT INTO csti_configuration (name, value) VALUES
  ('default_profile', 'default'),
  ('hello_port', '9971'),
  ('params_from', 'script'),
  ('rcfg_enabled', 'true'),
  ('retry_s', '3600'),
  ('tls_mode', 'off'),
  ('uuid_policy', 'any');
