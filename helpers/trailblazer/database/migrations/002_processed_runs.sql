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

    CONSTRAINT processed_runs_status_known CHECK (
        status IN ('normalized', 'chunking', 'chunked', 'embedding', 'embedded', 'failed', 'reset')
    ),
    CONSTRAINT processed_runs_claim_while_working CHECK (
        (status IN ('chunking', 'embedding')) = (claimed_by IS NOT NULL)
    ),
    CONSTRAINT processed_runs_claim_whole CHECK (
        (claimed_by IS NULL) = (claimed_at IS NULL)
        AND (claimed_by IS NULL) = (claim_expires_at IS NULL)
        AND (claimed_by IS NULL) = (claimed_from IS NULL)
    ),
    CONSTRAINT processed_runs_claimed_from_known CHECK (
        claimed_from IN ('normalized', 'chunked', 'embedded', 'failed', 'reset')
    ),
    CONSTRAINT processed_runs_failed_phase_known CHECK (failed_phase IN ('chunk', 'embed')),
    CONSTRAINT processed_runs_failed_with_reason CHECK (
        status <> 'failed' OR (failed_phase IS NOT NULL AND failure_reason IS NOT NULL AND failed_attempts > 0)
    ),
    CONSTRAINT processed_runs_counts_not_negative CHECK (
        attempt >= 0 AND failed_attempts >= 0 AND total_docs >= 0 AND total_chunks >= 0 AND embedded_chunks >= 0
    )
) WITH (fillfactor = 75);

-- The claim order. No other index: one on status or on claimed_at would make every claim rewrite it.
CREATE INDEX processed_runs_in_line ON processed_runs (line, run_id) WHERE line IS NOT NULL;
