-- +goose Up
-- retired_us: when a client went out of service; NULL while it is in service. replaced_by: the UUID of
-- the mainboard that came after it.
ALTER TABLE csti_amts ADD COLUMN retired_us BIGINT;
ALTER TABLE csti_amts ADD COLUMN replaced_by TEXT;
-- What happened to a client in its life: replaced, replaces, retired, reused, named. Never trimmed.
CREATE TABLE csti_history (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uuid TEXT NOT NULL, at_us BIGINT NOT NULL, event TEXT NOT NULL, fqdn TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX csti_history_uuid ON csti_history (uuid, at_us);
