-- Every statement on claims. Time is the database's, and that of the statement: a claim that is taken at the
-- end of a long transaction must not be born old. Lists of claims travel in binary: a third of the client's work.

-- name: unclaimed
-- A part of others: nobody holds the run.
claimed_by = NULL,
    claimed_at = NULL,
    claim_expires_at = NULL,
    claimed_from = NULL

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
-- A part of others. Expired claims and failed runs whose pause is over wait like what never began.
status IN ('normalized', 'chunked', 'reset')
OR (status IN ('chunking', 'embedding') AND claim_expires_at < statement_timestamp())
OR (status = 'failed' AND next_attempt_at <= statement_timestamp())

-- name: waiting
-- A part of others. One ordered scan of the one partial index, which alone sorts by this collation. What the plan hangs
-- on stands here as it is and not as a parameter: so the server keeps one plan instead of making one at each claim, which
-- costs more than the claim.
SELECT run_id
FROM processed_runs
WHERE waiting_for = '__phase__' AND ({is_claimable}) AND __scope__

-- name: claim_named
-- A plan names its runs; with `again` any of them that nobody holds may be taken, whatever has been done to it.
WITH chosen AS (
    SELECT run_id
    FROM processed_runs
    WHERE
        run_id = ANY (%(only)s::text[])
        AND (waiting_for = %(phase)s OR %(again)s::boolean)
        AND ({is_claimable} OR (%(again)s::boolean AND status IN ('embedded', 'failed')))
    ORDER BY run_id
    LIMIT %(limit)s
    FOR NO KEY UPDATE SKIP LOCKED
)

{take_chosen}

-- name: take_chosen
-- The attempt number is the fencing token; what the claim was taken from is kept, also over a claim that expired. By key
-- and not by a join: statistics that have not seen the line grow would make it read the whole table.
UPDATE processed_runs AS run
SET
    status = CASE %(phase)s WHEN 'chunk' THEN 'chunking' ELSE 'embedding' END,
    attempt = run.attempt + 1,
    claimed_by = %(holder)s,
    claimed_at = statement_timestamp(),
    claim_expires_at = statement_timestamp() + %(ttl)s,
    claimed_from = CASE WHEN run.status IN ('chunking', 'embedding') THEN run.claimed_from ELSE run.status END,
    chunk_started_at = CASE %(phase)s WHEN 'chunk' THEN statement_timestamp() ELSE run.chunk_started_at END,
    embed_started_at = CASE %(phase)s WHEN 'embed' THEN statement_timestamp() ELSE run.embed_started_at END,
    code_version = %(code_version)s,
    updated_at = statement_timestamp()
WHERE run.run_id = ANY (ARRAY(SELECT chosen.run_id FROM chosen))
RETURNING run.run_id, run.attempt, run.claim_expires_at

-- name: place
-- A part of others: where the counts of a run stand, if there are any.
CASE WHEN cardinality(%(docs)s::integer[]) > 0 THEN array_position(%(settled_ids)b::text[], run.run_id) END

-- name: settle_claims
-- Only the attempt that holds a run completes it. Whoever embeds is told at once of what has been chunked. By key, and the
-- attempts by a hash (IS TRUE keeps it one): no join, which statistics from before the claims would make a quadratic one.
-- The keys from a subselect: the planner sees none of them, and so never plans anew for a few in hope of a better plan.
UPDATE processed_runs AS run
SET
    status = CASE run.status WHEN 'chunking' THEN 'chunked' ELSE 'embedded' END,
    chunk_completed_at = CASE run.status WHEN 'chunking' THEN statement_timestamp() ELSE run.chunk_completed_at END,
    embed_completed_at = CASE run.status WHEN 'embedding' THEN statement_timestamp() ELSE run.embed_completed_at END,
    total_docs = coalesce((%(docs)s::integer[])[{place}], run.total_docs),
    total_chunks = coalesce((%(chunks)s::integer[])[{place}], run.total_chunks),
    embedded_chunks = coalesce((%(embedded)s::integer[])[{place}], run.embedded_chunks),
    {unclaimed},
    failed_phase = NULL,
    failure_reason = NULL,
    {unfailed},
    updated_at = statement_timestamp()
WHERE
    run.run_id = ANY (ARRAY(SELECT unnest(%(settled_ids)b::text[])))
    AND run.status IN ('chunking', 'embedding')
    AND (
        (run.run_id, run.attempt) IN (
            SELECT given.run_id, given.attempt
            FROM unnest(%(settled_ids)b::text[], %(attempts)b::integer[]) AS given (run_id, attempt)
        )
    ) IS TRUE
RETURNING run.run_id, CASE run.waiting_for WHEN 'embed' THEN pg_notify('runs_waiting', 'embed')::text END

-- name: settle_and_claim
-- Completion and the next claim in one round trip and one commit; nothing is taken when a claim to be settled is lost.
-- The claim order, from behind the run `after` and then from the start: what lies before it is mostly done, and walking
-- over what is done costs time until the next vacuum. A run that is settled here is not taken here again, expired or not:
-- a row that the statement itself has changed cannot be locked any more.
WITH
settled AS (
    {settle_claims}
),

ahead AS (
    SELECT run_id
    FROM (
        {waiting} AND run_id COLLATE "POSIX" > (SELECT %(after)s::text)
        ORDER BY run_id COLLATE "POSIX" LIMIT __limit__ FOR NO KEY UPDATE SKIP LOCKED
    ) AS waiting
    WHERE (SELECT count(*) FROM settled) = cardinality(%(settled_ids)b::text[])
),

behind AS (
    SELECT run_id
    FROM (
        {waiting}
        ORDER BY run_id COLLATE "POSIX" LIMIT __limit__ FOR NO KEY UPDATE SKIP LOCKED
    ) AS waiting
    WHERE
        (SELECT count(*) FROM settled) = cardinality(%(settled_ids)b::text[])
        AND (SELECT count(*) FROM ahead) = 0
),

chosen AS (
    SELECT run_id FROM ahead
    UNION ALL
    SELECT run_id FROM behind
),

taken AS (
    {take_chosen}
)

SELECT
    (SELECT array_agg(run_id) FROM settled) AS settled,
    array_agg(run_id) AS run_ids,
    array_agg(attempt) AS attempts,
    max(claim_expires_at) AS expires_at
FROM taken

-- name: move_expiry
-- A sign of life. A row that this holder's own worker has locked is passed over, never waited for: its lock keeps others
-- away for as long. Answers which runs the attempts still hold.
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
-- For a transaction that writes: until it ends, nobody else can take or reset these runs.
UPDATE processed_runs AS run
SET claim_expires_at = statement_timestamp() + %(ttl)s, updated_at = statement_timestamp()
{of_attempts}
RETURNING run.run_id

-- name: release_claims
-- Back to what it was before, so that an interrupted re-embedding of an embedded run leaves it embedded.
UPDATE processed_runs AS run
SET
    status = run.claimed_from,
    {unclaimed},
    updated_at = statement_timestamp()
{of_attempts}
RETURNING run.run_id, CASE WHEN run.waiting_for IS NOT NULL THEN pg_notify('runs_waiting', run.waiting_for)::text END

-- name: release_of_holders
-- What processes that are known to be gone left behind; the same as release_claims, without waiting for the expiry.
UPDATE processed_runs
SET
    status = claimed_from,
    {unclaimed},
    updated_at = statement_timestamp()
WHERE
    run_id = ANY (%(run_ids)b::text[])
    AND claimed_by = ANY (%(holders)s::text[])
    AND status IN ('chunking', 'embedding')
RETURNING run_id, CASE WHEN waiting_for IS NOT NULL THEN pg_notify('runs_waiting', waiting_for)::text END

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
-- Who holds a run now, for whoever does not.
SELECT run_id, status, attempt, claimed_by, claimed_at
FROM processed_runs
WHERE run_id = ANY (%(run_ids)b::text[])
ORDER BY run_id
