-- The phase that a run waits for, or is in, is named for what it says; "line" was the name of other things as well.

ALTER TABLE processed_runs RENAME COLUMN line TO waiting_for;
ALTER INDEX processed_runs_in_line RENAME TO processed_runs_waiting;
