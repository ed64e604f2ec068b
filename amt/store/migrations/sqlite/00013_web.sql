-- +goose Up
-- subject: of the client certificate that opens what a token of this name would; empty for a token.
ALTER TABLE web_tokens ADD COLUMN subject TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX web_tokens_subject ON web_tokens (subject) WHERE subject<>'' AND revoked_us=0;
-- How long and how many rows of the audit are kept; 0 is all of them.
INSERT INTO csti_configuration (name, value) VALUES ('audit_days', '0'), ('audit_rows', '0') ON CONFLICT (name) DO NOTHING;
