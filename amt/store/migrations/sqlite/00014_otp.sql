-- +goose Up
-- Whether the one-time password of Remote Configuration is compared: off, known (where one is known), required.
INSERT INTO csti_configuration (name, value) VALUES ('otp', 'known') ON CONFLICT (name) DO NOTHING;
