-- +goose Up
-- next_password is the password that a worker is about to set: stored before it is sent, so that it
-- is known whenever the firmware has it. A session that verified it moves it to admin_password.
ALTER TABLE csti_amts ADD COLUMN next_password BYTEA;
CREATE TABLE csto_steps (uuid TEXT NOT NULL, step TEXT NOT NULL, at_us BIGINT NOT NULL, PRIMARY KEY (uuid, step));
