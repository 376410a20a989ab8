-- Which very process holds a run: when it started, in which boot and in which pid namespace. So a holder on the same host
-- that no longer lives is known for dead, also when its pid was given to somebody else. Empty where a system cannot tell.

ALTER TABLE processed_runs
ADD COLUMN claimed_ticks bigint,
ADD COLUMN claimed_boot text,
ADD COLUMN claimed_namespace text;
