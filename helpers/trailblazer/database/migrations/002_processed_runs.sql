-- The backlog (B1): the one place that knows what has been done to each run, and who holds it.

CREATE TABLE processed_runs (
    run_id text COLLATE "C" PRIMARY KEY,
    source text,
    normalized_at timestamptz NOT NULL DEFAULT now(),
    chunk_started_at timestamptz,
    chunk_completed_at timestamptz,
    embed_started_at timestamptz,
    embed_completed_at timestamptz,
    status text NOT NULL DEFAULT 'normalized',
    total_docs integer,
    total_chunks integer,
    embedded_chunks integer,
    claimed_by text,
    claimed_at timestamptz,
    code_version text,
    updated_at timestamptz NOT NULL DEFAULT now(),

    -- The fencing token: every claim adds one, nothing ever takes one away.
    attempt integer NOT NULL DEFAULT 0,
    claim_expires_at timestamptz,
    -- What a claim was taken from, so that giving it back restores exactly that.
    claimed_from text,
    failed_phase text,
    failure_reason text,
    failed_attempts integer NOT NULL DEFAULT 0,
    -- When a failed run is in line again; null: it waits for a reset.
    next_attempt_at timestamptz,

    -- Which phase a run stands in line for, or is in. Claiming and failing leave it as it is, so they are HOT updates
    -- although the index below stands on it. A reset run that has no chunks of its present text is chunked first.
    line text GENERATED ALWAYS AS (
        CASE
            WHEN status IN ('normalized', 'chunking') THEN 'chunk'
            WHEN status IN ('chunked', 'embedding') THEN 'embed'
            WHEN status = 'reset' AND chunk_completed_at >= normalized_at AND total_chunks > 0 THEN 'embed'
            WHEN status = 'reset' THEN 'chunk'
            WHEN status = 'failed' AND next_attempt_at IS NOT NULL THEN failed_phase
        END
    ) STORED,

    -- Few and short, since Postgres reads each of them anew at every statement.
    CONSTRAINT processed_runs_status_known CHECK (
        status IN ('normalized', 'chunking', 'chunked', 'embedding', 'embedded', 'failed', 'reset')
    ),
    CONSTRAINT processed_runs_claim_whole_while_working CHECK (
        num_nulls(claimed_by, claimed_at, claim_expires_at, claimed_from)
        = CASE WHEN status IN ('chunking', 'embedding') THEN 0 ELSE 4 END
    ),
    CONSTRAINT processed_runs_failed_with_reason CHECK (
        status <> 'failed' OR num_nulls(failed_phase, failure_reason) = 0
    )
-- Room in each page for the two versions that a claim and its end make of each row: batches are a fourth faster for it.
) WITH (fillfactor = 35, autovacuum_vacuum_scale_factor = 0.02);

-- The claim order. No other index: one on status or on claimed_at would make every claim rewrite it. POSIX sorts as C
-- does, but it is not the primary key's: the planner, who takes a queue for a table of which all rows match, would walk
-- that one from its start over all that is done.
CREATE INDEX processed_runs_in_line ON processed_runs (line, run_id COLLATE "POSIX") WHERE line IS NOT NULL;
