-- +goose Up
-- Who may use the web service: hash is the SHA-256 of a token in hex, the token itself is nowhere.
CREATE TABLE web_tokens (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, hash TEXT NOT NULL UNIQUE,
  created_us BIGINT NOT NULL, expires_us BIGINT NOT NULL DEFAULT 0, used_us BIGINT NOT NULL DEFAULT 0, revoked_us BIGINT NOT NULL DEFAULT 0);
-- Who changed what: a row is written before the change, result (done, or why not) after it. No secrets.
CREATE TABLE csti_audit (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at_us BIGINT NOT NULL, who TEXT NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL,
  object TEXT NOT NULL, was TEXT NOT NULL, becomes TEXT NOT NULL, result TEXT NOT NULL DEFAULT '');
