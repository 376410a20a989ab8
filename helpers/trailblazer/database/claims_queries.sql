-- Every statement on claims. Time is the database's time at the statement: a claim that is taken late in a long
-- transaction has its full time to live. Lists of claims travel in binary, which saves a third of the client's work.

-- name: keep_one_plan
-- For a connection that does nothing but claims: to plan one of these statements takes longer than to execute it.
SET plan_cache_mode = force_generic_plan

-- name: unclaimed
-- A part of others: nobody holds the run.
claimed_by = NULL,
    claimed_at = NULL,
    claim_expires_at = NULL,
    claimed_from = NULL,
    claimed_ticks = NULL,
    claimed_boot = NULL,
    claimed_namespace = NULL

-- name: unfailed
-- A part of others: earlier failures do not count.
failed_attempts = 0,
    next_attempt_at = NULL

-- name: of_attempts
-- A part of others: the runs that these attempts still hold.
FROM unnest(%(run_ids)b::text[], %(attempts)b::integer[]) AS given (run_id, attempt)
WHERE
    run.run_id = given.run_id
    AND run.attempt = given.attempt
    AND run.status IN ('chunking', 'embedding')

-- name: is_claimable
-- A part of others. A run with an expired claim can be claimed, and so can a failed run whose pause is over.
status IN ('normalized', 'chunked', 'reset')
OR (status IN ('chunking', 'embedding') AND claim_expires_at < statement_timestamp())
OR (status = 'failed' AND next_attempt_at <= statement_timestamp())

-- name: working
-- A part of others: the state of a run that is claimed for a phase.
CASE %(phase)s WHEN 'chunk' THEN 'chunking' ELSE 'embedding' END

-- name: standing
-- A part of others: the state of a run, for a process that does not hold it.
run_id, status, attempt, claimed_by, claimed_at, failure_reason, next_attempt_at

-- name: take_chosen
-- A part of others. The attempt number is the fencing token. claimed_from keeps the state before the first of several
-- claims. The rows are found by key: a join with old statistics would read the whole table.
UPDATE processed_runs AS run
SET
    status = {working},
    attempt = run.attempt + 1,
    claimed_by = %(holder)s,
    claimed_at = statement_timestamp(),
    claim_expires_at = statement_timestamp() + %(ttl)s,
    claimed_from = CASE WHEN run.status IN ('chunking', 'embedding') THEN run.claimed_from ELSE run.status END,
    chunk_started_at = CASE %(phase)s WHEN 'chunk' THEN statement_timestamp() ELSE run.chunk_started_at END,
    embed_started_at = CASE %(phase)s WHEN 'embed' THEN statement_timestamp() ELSE run.embed_started_at END,
    claimed_ticks = %(ticks)s,
    claimed_boot = %(boot)s,
    claimed_namespace = %(namespace)s,
    code_version = %(code_version)s,
    updated_at = statement_timestamp()
WHERE run.run_id = ANY (ARRAY(SELECT chosen.run_id FROM chosen))
RETURNING run.run_id, run.attempt

-- name: settle_claims
-- A part of others: only the attempt that holds a run completes it. The claims are one JSON object: run id -> [attempt,
-- documents, chunks, embedded chunks]. It is looked up by key: a join with old statistics can be quadratic.
UPDATE processed_runs AS run
SET
    status = CASE run.status WHEN 'chunking' THEN 'chunked' ELSE 'embedded' END,
    chunk_completed_at = CASE run.status WHEN 'chunking' THEN statement_timestamp() ELSE run.chunk_completed_at END,
    embed_completed_at = CASE run.status WHEN 'embedding' THEN statement_timestamp() ELSE run.embed_completed_at END,
    total_docs = coalesce((%(finished)s::jsonb -> run.run_id ->> 1)::integer, run.total_docs),
    total_chunks = coalesce((%(finished)s::jsonb -> run.run_id ->> 2)::integer, run.total_chunks),
    embedded_chunks = coalesce((%(finished)s::jsonb -> run.run_id ->> 3)::integer, run.embedded_chunks),
    {unclaimed},
    failed_phase = NULL,
    failure_reason = NULL,
    {unfailed},
    updated_at = statement_timestamp()
WHERE
    run.run_id = ANY (ARRAY(SELECT jsonb_object_keys(%(finished)s::jsonb)))
    AND run.status IN ('chunking', 'embedding')
    AND run.attempt = (%(finished)s::jsonb -> run.run_id ->> 0)::integer
RETURNING run.run_id

-- name: settle_and_take
-- Completion and the next claims in one round trip and one commit. Only wanted runs are taken. With `again` any run
-- without a holder is taken. A run that could not be taken is returned as it was when the statement began.
WITH
settled AS (
    {settle_claims}
),

chosen AS (
    SELECT run_id
    FROM processed_runs
    WHERE
        run_id = ANY (ARRAY(SELECT unnest(%(wanted)b::text[])))
        AND (
            (waiting_for = %(phase)s AND ({is_claimable}))
            OR (%(again)s::boolean AND ({is_claimable} OR status IN ('embedded', 'failed')))
            OR (%(phase)s = 'embed' AND {lacks_model})
        )
    ORDER BY run_id
    FOR NO KEY UPDATE SKIP LOCKED
),

taken AS (
    {take_chosen}
),

refused AS (
    SELECT {standing}
    FROM processed_runs
    WHERE
        run_id = ANY (ARRAY(SELECT unnest(%(wanted)b::text[])))
        AND (SELECT count(*) FROM taken) < cardinality(%(wanted)b::text[])
        AND NOT EXISTS (SELECT FROM taken WHERE taken.run_id = processed_runs.run_id)
)

SELECT
    (SELECT array_agg(run_id) FROM settled) AS settled,
    (SELECT jsonb_object_agg(run_id, attempt) FROM taken) AS taken,
    (SELECT jsonb_agg(to_jsonb(refused)) FROM refused) AS refused

-- name: add_and_take
-- Adds runs that the table lacks, and claims them. A run that another process has just added is left out.
INSERT INTO processed_runs (
    run_id, status, attempt, claimed_by, claimed_at, claim_expires_at, claimed_from, claimed_ticks, claimed_boot,
    claimed_namespace, chunk_started_at, embed_started_at, code_version
)
SELECT
    wanted.run_id,
    {working},
    1,
    %(holder)s,
    statement_timestamp(),
    statement_timestamp() + %(ttl)s,
    'normalized',
    %(ticks)s,
    %(boot)s,
    %(namespace)s,
    CASE %(phase)s WHEN 'chunk' THEN statement_timestamp() END,
    CASE %(phase)s WHEN 'embed' THEN statement_timestamp() END,
    %(code_version)s
FROM unnest(%(wanted)b::text[]) AS wanted (run_id)
ON CONFLICT (run_id) DO NOTHING
RETURNING run_id, attempt

-- name: move_expiry
-- A sign of life. It skips a row that this holder's own worker has locked: that lock keeps others away. It returns the
-- runs that the attempts still hold.
WITH
held AS (
    SELECT run.run_id
    FROM processed_runs AS run
    INNER JOIN unnest(%(run_ids)b::text[], %(attempts)b::integer[]) AS given (run_id, attempt) USING (run_id, attempt)
    WHERE run.status IN ('chunking', 'embedding')
),

free AS (
    SELECT run.run_id
    FROM processed_runs AS run
    INNER JOIN unnest(%(run_ids)b::text[], %(attempts)b::integer[]) AS given (run_id, attempt) USING (run_id, attempt)
    WHERE run.status IN ('chunking', 'embedding')
    FOR NO KEY UPDATE OF run SKIP LOCKED
),

moved AS (
    UPDATE processed_runs AS run
    SET claim_expires_at = statement_timestamp() + %(ttl)s, updated_at = statement_timestamp()
    FROM free
    WHERE run.run_id = free.run_id
)

SELECT run_id FROM held

-- name: fence_claims
-- For a transaction that writes: until its end no other process can take or reset these runs.
UPDATE processed_runs AS run
SET claim_expires_at = statement_timestamp() + %(ttl)s, updated_at = statement_timestamp()
{of_attempts}
RETURNING run.run_id

-- name: release_claims
-- The run has its former state again: an interrupted re-embedding of an embedded run leaves it embedded.
UPDATE processed_runs AS run
SET
    status = run.claimed_from,
    {unclaimed},
    updated_at = statement_timestamp()
{of_attempts}
RETURNING run.run_id

-- name: release_of_holders
-- The same as release_claims, by holder: for the claims of processes that are known to be gone.
UPDATE processed_runs
SET
    status = claimed_from,
    {unclaimed},
    updated_at = statement_timestamp()
WHERE
    run_id = ANY (%(run_ids)b::text[])
    AND claimed_by = ANY (%(holders)s::text[])
    AND status IN ('chunking', 'embedding')
RETURNING run_id

-- name: held_here
-- A part of others: the claims of processes of this host that recorded their start time.
SELECT run_id, attempt, claimed_by, claimed_ticks, claimed_boot, claimed_namespace
FROM processed_runs
WHERE
    status IN ('chunking', 'embedding')
    AND starts_with(claimed_by, %(host)s)
    AND claimed_ticks IS NOT NULL

-- name: claims_on_host
-- A claimed run has a waiting_for too: the condition on it makes this an index scan.
{held_here}
    AND waiting_for IN ('chunk', 'embed')
ORDER BY run_id

-- name: claims_of_runs_on_host
-- See claims_on_host.
{held_here}
    AND run_id = ANY (%(run_ids)s::text[])
ORDER BY run_id

-- name: fail_claim
-- The pause doubles with each failed attempt; after the last one the run waits for a reset.
UPDATE processed_runs
SET
    status = 'failed',
    failed_phase = CASE status WHEN 'chunking' THEN 'chunk' ELSE 'embed' END,
    failure_reason = %(reason)s,
    failed_attempts = failed_attempts + 1,
    next_attempt_at = CASE
        WHEN failed_attempts + 1 < %(max_attempts)s
            THEN statement_timestamp() + least(%(pause)s * power(2, failed_attempts), %(longest_pause)s)
    END,
    {unclaimed},
    updated_at = statement_timestamp()
WHERE run_id = %(run_id)s AND attempt = %(attempt)s AND status IN ('chunking', 'embedding')
RETURNING run_id

-- name: standing_of
-- The present state and holder of runs, for a process that does not hold them.
SELECT {standing}
FROM processed_runs
WHERE run_id = ANY (%(run_ids)b::text[])
ORDER BY run_id
