-- Every statement on the backlog but those on claims.

-- name: in_scope
-- A part of others: the runs that filters let through.
(%(source)s::text IS NULL OR source = %(source)s::text)
AND (%(pattern)s::text IS NULL OR run_id ~ %(pattern)s::text)
AND (%(since)s::timestamptz IS NULL OR normalized_at >= %(since)s::timestamptz)
AND (%(until)s::timestamptz IS NULL OR normalized_at < %(until)s::timestamptz)

-- name: upsert_run
-- A run that is normalised again waits again. Attempts at its former text are fenced off. Its history stays.
INSERT INTO processed_runs AS run (run_id, source, total_docs, normalized_at, updated_at)
VALUES (%(run_id)s, coalesce(%(source)s, 'unknown'), %(total_docs)s, statement_timestamp(), statement_timestamp())
ON CONFLICT (run_id) DO UPDATE SET
    source = coalesce(%(source)s, run.source),
    total_docs = coalesce(excluded.total_docs, run.total_docs),
    normalized_at = excluded.normalized_at,
    status = 'normalized',
    {unclaimed},
    {unfailed},
    updated_at = excluded.updated_at

-- name: known_runs
-- Backfill reads only the folders of runs that are not here yet.
SELECT run_id FROM processed_runs WHERE run_id = ANY (%(run_ids)s::text[])

-- name: register_runs
-- Work from before this table existed counts: files prove chunks, vectors prove an embedding. The time of a file may be
-- later than the database's clock; no time in this table is.
INSERT INTO processed_runs (
    run_id, source, total_docs, normalized_at, chunk_completed_at, total_chunks, embed_completed_at,
    embedded_chunks, status
)
SELECT
    given.run_id,
    coalesce(given.source, 'unknown'),
    given.total_docs,
    least(given.normalized_at, statement_timestamp()),
    CASE WHEN given.total_chunks IS NOT NULL THEN statement_timestamp() END,
    given.total_chunks,
    CASE WHEN given.is_embedded AND vectors.count > 0 THEN statement_timestamp() END,
    nullif(vectors.count, 0),
    CASE
        WHEN given.total_chunks IS NULL THEN 'normalized'
        WHEN given.is_embedded AND vectors.count > 0 THEN 'embedded'
        ELSE 'chunked'
    END
FROM unnest(
    %(run_ids)s::text[], %(sources)s::text[], %(docs)s::integer[], %(moments)s::timestamptz[],
    %(chunks)s::integer[], %(embedded)s::boolean[]
) AS given (run_id, source, total_docs, normalized_at, total_chunks, is_embedded)
CROSS JOIN LATERAL (
    SELECT count(DISTINCT chunk_id)::integer AS count
    FROM chunk_embeddings
    WHERE given.is_embedded AND chunk_embeddings.run_id = given.run_id
) AS vectors
ON CONFLICT (run_id) DO NOTHING
RETURNING run_id

-- name: reset_runs
-- From any state. A run that keeps its chunks waits for embedding. The rows are locked in the
-- order in which settle_and_take locks them.
WITH chosen AS (
    SELECT run_id FROM processed_runs WHERE {in_scope} ORDER BY run_id FOR NO KEY UPDATE
)

UPDATE processed_runs AS run
SET
    status = 'reset',
    chunk_started_at = CASE WHEN %(keeps_chunks)s THEN run.chunk_started_at END,
    chunk_completed_at = CASE WHEN %(keeps_chunks)s THEN run.chunk_completed_at END,
    total_chunks = CASE WHEN %(keeps_chunks)s THEN run.total_chunks END,
    embed_started_at = NULL,
    embed_completed_at = NULL,
    embedded_chunks = NULL,
    {unclaimed},
    {unfailed},
    updated_at = statement_timestamp()
FROM chosen
WHERE run.run_id = chosen.run_id
RETURNING run.run_id

-- name: forget_runs
-- The holder of such a run loses its claim and learns it at its next write.
DELETE FROM processed_runs WHERE run_id = ANY (%(run_ids)s::text[]) RETURNING run_id

-- name: runs_in_scope
-- What reset_runs would change, for a dry run: nothing is locked.
SELECT run_id FROM processed_runs WHERE {in_scope}

-- name: count_rows_of_runs
-- What a reset of these runs deletes.
SELECT
    (SELECT count(*) FROM chunk_embeddings WHERE run_id = ANY (%(run_ids)s::text[])) AS embeddings,
    (SELECT count(*) FROM chunks WHERE run_id = ANY (%(run_ids)s::text[])) AS chunks,
    (SELECT count(*) FROM documents WHERE run_id = ANY (%(run_ids)s::text[])) AS documents

-- name: delete_vectors_of_runs
-- All models of these runs. The texts of a run are replaced as a whole, in one transaction.
DELETE FROM chunk_embeddings WHERE run_id = ANY (%(run_ids)s::text[])

-- name: delete_chunks_of_runs
-- See delete_vectors_of_runs.
DELETE FROM chunks WHERE run_id = ANY (%(run_ids)s::text[])

-- name: delete_documents_of_runs
-- See delete_vectors_of_runs.
DELETE FROM documents WHERE run_id = ANY (%(run_ids)s::text[])

-- name: run_columns
-- A part of others: all columns that people see of a run.
SELECT
    run_id, source, status, waiting_for, attempt, normalized_at, chunk_started_at, chunk_completed_at, embed_started_at,
    embed_completed_at, total_docs, total_chunks, embedded_chunks, claimed_by, claimed_at, claim_expires_at,
    failed_phase, failure_reason, failed_attempts, next_attempt_at, code_version, updated_at
FROM processed_runs

-- name: runs_by_id
-- Ordered by run id, as everything is.
{run_columns}
WHERE run_id = ANY (%(run_ids)s::text[])
ORDER BY run_id

-- name: list_runs
-- See runs_by_id.
{run_columns}
WHERE
    (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s::text[]))
    AND {in_scope}
ORDER BY run_id
LIMIT %(limit)s

-- name: count_statuses
-- Totals for people: one line a status.
SELECT status, count(*)
FROM processed_runs
WHERE {in_scope}
GROUP BY status

-- name: is_waiting
-- A part of others: what waits for these phases, held or not. What a model lacks waits for embedding with it.
(waiting_for = ANY (%(phases)s::text[]) OR ('embed' = ANY (%(phases)s::text[]) AND {lacks_model}))
    AND {in_scope}

-- name: measure_backlog
-- The banner of B3: what waits for these phases, held or not.
SELECT
    count(*) AS total,
    min(normalized_at) AS first_normalized_at,
    max(normalized_at) AS last_normalized_at,
    coalesce((array_agg(run_id ORDER BY run_id))[1:10], '{}') AS sample
FROM processed_runs
WHERE {is_waiting}

-- name: waiting_runs
-- The plan of B3: what measure_backlog counts, by id.
SELECT run_id
FROM processed_runs
WHERE {is_waiting}
ORDER BY run_id
LIMIT %(limit)s

-- name: unheld_runs
-- Those of these runs without a valid claim: done, released, failed, or held under an expired claim.
SELECT run_id
FROM processed_runs
WHERE
    run_id = ANY (%(run_ids)s::text[])
    AND (claim_expires_at IS NULL OR claim_expires_at < statement_timestamp())
ORDER BY run_id
