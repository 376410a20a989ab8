-- The statements on the models that runs have vectors of.

-- name: lacks_model
-- A part of others: an embedded run without vectors of its present chunks by this model. Without a key: no run.
%(provider)s::text IS NOT NULL
AND status = 'embedded'
AND NOT EXISTS (
    SELECT
    FROM run_models AS made
    WHERE
        made.run_id = processed_runs.run_id
        AND made.provider = %(provider)s::text
        AND made.model = %(model)s::text
        AND made.dimension = %(dimension)s::integer
        AND made.completed_at >= coalesce(processed_runs.chunk_completed_at, '-infinity')
)

-- name: manifests_of_model
-- A diff compares with the vectors of the same model, not with the newest vectors.
SELECT run_id, manifest FROM run_models WHERE {of_model}

-- name: models_given
-- A part of others: rows of run_models as JSON.
jsonb_to_recordset(%(made)s::jsonb -> 'rows') AS given (
    run_id text, attempt integer, provider text, model text, dimension integer, manifest jsonb
)

-- name: record_models
-- Fenced like every write: a row is written only while the attempt holds the run, which is locked until the commit.
INSERT INTO run_models (run_id, provider, model, dimension, manifest, embedded_chunks, attempt, completed_at)
SELECT
    run.run_id,
    given.provider,
    given.model,
    given.dimension,
    given.manifest,
    (given.manifest ->> 'chunksEmbedded')::integer,
    run.attempt,
    statement_timestamp()
FROM {models_given}
INNER JOIN processed_runs AS run ON run.run_id = given.run_id AND run.attempt = given.attempt
WHERE run.status = 'embedding'
ORDER BY run.run_id
FOR NO KEY UPDATE OF run
ON CONFLICT (run_id, provider, model, dimension) DO UPDATE SET
    manifest = excluded.manifest,
    embedded_chunks = excluded.embedded_chunks,
    attempt = excluded.attempt,
    completed_at = excluded.completed_at
RETURNING run_id

-- name: adopt_models
-- For runs that were embedded before this table existed. Every vector that the manifest counts must be stored.
INSERT INTO run_models (run_id, provider, model, dimension, manifest, embedded_chunks, attempt, completed_at)
SELECT
    run.run_id,
    given.provider,
    given.model,
    given.dimension,
    given.manifest,
    stored.count,
    run.attempt,
    statement_timestamp()
FROM {models_given}
INNER JOIN processed_runs AS run ON run.run_id = given.run_id
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS count
    FROM chunk_embeddings AS vector
    WHERE
        vector.run_id = given.run_id
        AND vector.provider = given.provider
        AND vector.model = given.model
        AND vector.dimension = given.dimension
) AS stored
WHERE
    run.status = 'embedded'
    AND stored.count > 0
    AND stored.count >= coalesce((given.manifest ->> 'chunksEmbedded')::integer, 0)
ON CONFLICT DO NOTHING

-- name: runs_without_model
-- Runs that were embedded before this table existed.
SELECT run_id
FROM processed_runs
WHERE
    run_id = ANY (%(run_ids)s::text[])
    AND status = 'embedded'
    AND NOT EXISTS (SELECT FROM run_models AS made WHERE made.run_id = processed_runs.run_id)
ORDER BY run_id

-- name: delete_models_of_runs
-- The records of vectors are deleted with the vectors.
DELETE FROM run_models WHERE run_id = ANY (%(run_ids)s::text[])
