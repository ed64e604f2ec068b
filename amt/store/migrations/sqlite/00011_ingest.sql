-- +goose Up
-- A client's first hello is most of what the log gets in a storm of hellos, and an entry in an index by UUID
-- costs a page of its own for each. Its row is marked and found by its time instead: at_us is csti_amts.first_hello_us
-- then. All other rows, those from before included, have 0 and stand in the index by UUID.
ALTER TABLE csti_log ADD COLUMN first_hello INTEGER NOT NULL DEFAULT 0;
DROP INDEX csti_log_uuid;
CREATE INDEX csti_log_uuid ON csti_log (uuid, at_us) WHERE first_hello=0;
CREATE INDEX csti_log_first_hello ON csti_log (at_us) WHERE first_hello=1;
