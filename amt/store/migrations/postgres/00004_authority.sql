-- +goose Up
-- Our certificate authorities: certs is PEM, our own certificate and then its chain up to the root, NULL
-- while a company's authority has not signed it; key is an encrypted cell.
CREATE TABLE csti_authorities (id BIGINT PRIMARY KEY, kind TEXT NOT NULL, certs TEXT, key BYTEA NOT NULL,
  active INTEGER NOT NULL DEFAULT 0, created_us BIGINT NOT NULL, crl_number BIGINT NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX csti_authorities_active ON csti_authorities (kind) WHERE active=1;
-- Certificates that they signed, of clients and of those who manage them; key (encrypted) only of the latter.
CREATE TABLE csti_certificates (serial TEXT PRIMARY KEY, authority_id BIGINT NOT NULL REFERENCES csti_authorities(id), purpose TEXT NOT NULL,
  uuid TEXT, name TEXT NOT NULL, der BYTEA NOT NULL, key BYTEA, not_before_us BIGINT NOT NULL, not_after_us BIGINT NOT NULL,
  created_us BIGINT NOT NULL, revoked_us BIGINT, reason INTEGER NOT NULL DEFAULT 0);
CREATE INDEX csti_certificates_uuid ON csti_certificates (uuid) WHERE uuid IS NOT NULL;
-- Passwords of one client beside that of its administrator: stored (encrypted) before they are sent.
CREATE TABLE csti_client_secrets (uuid TEXT NOT NULL, name TEXT NOT NULL, value BYTEA NOT NULL, updated_us BIGINT NOT NULL, PRIMARY KEY (uuid, name));
