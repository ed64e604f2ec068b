-- +goose Up
-- The schedule of maintenance, in days; 0 is never.
INSERT INTO csti_configuration (name, value) VALUES
  ('maintain_clock_days', '0'),
  ('maintain_pair_days', '0'),
  ('maintain_password_days', '0'),
  ('maintain_profile_days', '0'),
  ('renew_before_days', '30')
ON CONFLICT (name) DO NOTHING;
