-- +goose Up
-- When each kind of maintenance was last done for a client, or given up, and what came of it.
CREATE TABLE csto_maintenance (uuid TEXT NOT NULL, kind INTEGER NOT NULL, at_us BIGINT NOT NULL, outcome TEXT NOT NULL, PRIMARY KEY (uuid, kind));
