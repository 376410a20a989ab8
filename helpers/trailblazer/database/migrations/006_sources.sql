-- Where a run comes from is always said (B1): by its documents, `mixed` when they differ, else `unknown`.

UPDATE processed_runs SET source = 'unknown' WHERE source IS NULL;
ALTER TABLE processed_runs ALTER COLUMN source SET DEFAULT 'unknown', ALTER COLUMN source SET NOT NULL;
