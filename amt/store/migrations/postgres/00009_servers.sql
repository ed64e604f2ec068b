-- +goose Up
-- The servers that work on this database, one row for each that did not end in order: name is that of its
-- worker, as in csto_queue_entries.claimed_by; the next heartbeat has to come within within_us.
ALTER TABLE servers ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE servers ADD COLUMN process BIGINT NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE servers ADD COLUMN sessions BIGINT NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN started_us BIGINT NOT NULL DEFAULT 0;
ALTER TABLE servers ADD COLUMN within_us BIGINT NOT NULL DEFAULT 0;
-- The entries whose leases may have run out.
CREATE INDEX csto_queue_leases ON csto_queue_entries (lease_us) WHERE claimed_by IS NOT NULL;
-- When the client's last configuration was done, by the clock that leases go by: a hello that was received
-- before and is noted after it asks for nothing.
ALTER TABLE csti_amts ADD COLUMN done_us BIGINT;
