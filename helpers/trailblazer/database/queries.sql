-- Statements on migrations, the server, vectors and dispatches. A test fails on an unused or unknown name.

-- name: has_migrations
-- Asked first, so that a fresh database is no error. to_regclass() may answer from a cache that is older than the lock.
SELECT EXISTS (
    SELECT FROM pg_tables WHERE tablename = 'schema_migrations' AND schemaname = ANY (current_schemas(false))
)

-- name: applied_migrations
-- The digest shows whether a file was changed after it was applied.
SELECT number, sha256 FROM schema_migrations ORDER BY number

-- name: lock_migrations
-- One process at a time migrates a database. The number is "trailbla" in ASCII. The lock ends with the transaction.
SELECT pg_advisory_xact_lock(8390876161162505313)

-- name: record_migration
-- In the same transaction as the migration itself.
INSERT INTO schema_migrations (number, slug, sha256) VALUES (%(number)s, %(slug)s, %(sha256)s)

-- name: find_vector_type
-- pgvector's type has another oid in every database.
SELECT to_regtype('vector')::oid, to_regtype('vector[]')::oid

-- name: server_facts
-- What the doctor judges. CREATE EXTENSION vector needs CREATE on the database where it is trusted, else a superuser.
SELECT
    current_setting('server_version_num')::integer AS version_number,
    current_setting('server_version') AS version,
    current_setting('server_encoding') AS encoding,
    current_user::text AS user_name,
    current_database()::text AS database_name,
    (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS vector_installed,
    (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS vector_available,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR coalesce(
        (
            SELECT bool_or(trusted) AND has_database_privilege(current_database(), 'CREATE')
            FROM pg_available_extension_versions
            WHERE name = 'vector'
        ),
        false
    ) AS may_create_extension,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create_tables,
    pg_is_in_recovery() AS is_read_only

-- name: present_moment
-- The database's clock is the only one that is compared with what the database wrote.
SELECT now()

-- name: of_model
-- A part of others: the vectors of runs by one model.
run_id = ANY (%(run_ids)s::text[]) AND provider = %(provider)s AND model = %(model)s AND dimension = %(dimension)s

-- name: vectors_of_runs
-- The vectors of one model, with the digest of their text: these need not be embedded again. Each run has its own moment.
SELECT run_id, chunk_id, content_sha256
FROM chunk_embeddings
INNER JOIN unnest(%(run_ids)s::text[], %(since)s::timestamptz[]) AS given (run_id, since) USING (run_id)
WHERE {of_model}
    AND (since IS NULL OR created_at >= since)

-- name: delete_vectors_but
-- Vectors of texts that are gone or changed; those of other models stay. With the first vector of a run goes the record
-- that it has all of them: an attempt that ends early leaves a run that waits for the model.
WITH deleted AS (
    DELETE FROM chunk_embeddings AS vector
    WHERE {of_model}
        AND NOT EXISTS (
            SELECT
            FROM unnest(%(keep_runs)s::text[], %(keep_chunks)s::text[]) AS kept (run_id, chunk_id)
            WHERE kept.run_id = vector.run_id AND kept.chunk_id = vector.chunk_id
        )
    RETURNING run_id
)

DELETE FROM run_models
WHERE {of_model}
    AND run_id IN (SELECT deleted.run_id FROM deleted)

-- name: count_vectors
-- Whether the vectors that a manifest counts are stored.
SELECT run_id, count(*)
FROM chunk_embeddings
WHERE {of_model}
GROUP BY run_id

-- name: find_chunks
-- Nearest by vector and best by words, fused by reciprocal rank: 1/(60 + place) of each list, added up. The cast makes
-- the expression equal to the one of the model's HNSW index. Words are OR-ed; in a large table those that stand nearly
-- everywhere are left out, so that at most about 10,000 chunks are ranked: how common a word is, the statistics tell.
WITH common AS (
    SELECT lexeme, frequency * (SELECT reltuples FROM pg_class WHERE oid = 'chunks'::regclass) AS chunks
    FROM pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs) AS elements (lexeme, frequency)
    WHERE schemaname = ANY (current_schemas(false)) AND tablename = 'chunks' AND attname = 'words'
),
asked AS MATERIALIZED (
    SELECT lexeme, coalesce(common.chunks, 0) AS chunks
    FROM unnest(tsvector_to_array(to_tsvector('english', %(question)s))) AS lexeme
    LEFT JOIN common USING (lexeme)
),
searched AS MATERIALIZED (
    SELECT string_agg(array_to_tsvector(ARRAY[lexeme])::text, ' | ')::tsquery AS query
    FROM (
        SELECT
            lexeme,
            sum(chunks) OVER (ORDER BY chunks, lexeme) AS so_far,
            row_number() OVER (ORDER BY chunks, lexeme) AS place
        FROM asked
    ) AS rare_first
    WHERE so_far <= 10000 OR place = 1
),
nearest AS MATERIALIZED (
    SELECT run_id, chunk_id, embedding::vector(__dimension__) <=> %(vector)s::vector(__dimension__) AS distance
    FROM chunk_embeddings
    WHERE provider = '__provider__' AND model = '__model__' AND dimension = __dimension__
        AND 'vector' = ANY (%(lists)s::text[])
    ORDER BY embedding::vector(__dimension__) <=> %(vector)s::vector(__dimension__)
    LIMIT %(candidates)s
),
worded AS MATERIALIZED (
    SELECT run_id, chunk_id, ts_rank(words, query) AS fit
    FROM chunks
    INNER JOIN searched ON words @@ query
    WHERE 'words' = ANY (%(lists)s::text[])
    ORDER BY fit DESC, run_id, chunk_id
    LIMIT %(candidates)s
),
placed AS (
    SELECT run_id, chunk_id, row_number() OVER (ORDER BY distance, run_id, chunk_id) AS place
    FROM nearest
    UNION ALL
    SELECT run_id, chunk_id, row_number() OVER (ORDER BY fit DESC, run_id, chunk_id) FROM worded
),
fused AS (
    SELECT run_id, chunk_id, sum(1.0 / (60 + place)) AS fusion
    FROM placed
    GROUP BY run_id, chunk_id
)
SELECT
    1 - (embedding <=> %(vector)s::vector) AS score,
    (
        SELECT count(*) FROM asked
        WHERE lexeme = ANY (tsvector_to_array(coalesce(words, to_tsvector('english', left(text_md, 100000)))))
    )::float8 / (SELECT greatest(count(*), 1) FROM asked) AS words,
    coalesce(documents.title, '') AS title,
    coalesce(chunks.meta ->> 'section', '') AS section,
    coalesce(documents.url, '') AS url,
    run_id,
    chunk_id,
    doc_id AS document,
    text_md AS text
FROM fused
INNER JOIN chunk_embeddings USING (run_id, chunk_id)
INNER JOIN chunks USING (run_id, chunk_id)
INNER JOIN documents USING (run_id, doc_id)
WHERE provider = '__provider__' AND model = '__model__' AND dimension = __dimension__
ORDER BY fusion DESC, score DESC, run_id, chunk_id

-- name: find_words
-- So many chunks that have no words yet get theirs. A chunk that somebody else works on is left to the next time: two
-- dispatches that end at once share the work, and neither waits for the other or for one that stores.
WITH waiting AS (
    SELECT run_id, chunk_id FROM chunks WHERE words IS NULL LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED
)

UPDATE chunks SET words = to_tsvector('english', left(text_md, 100000))
FROM waiting
WHERE chunks.run_id = waiting.run_id AND chunks.chunk_id = waiting.chunk_id

-- name: merge_words
-- What was just found waits in a list that every search reads whole, until it is merged into the index.
SELECT gin_clean_pending_list('chunks_words')

-- name: has_vectors
-- Whether a model has that many vectors, without counting those beyond.
SELECT count(*) = %(many)s
FROM (
    SELECT FROM chunk_embeddings
    WHERE provider = %(provider)s AND model = %(model)s AND dimension = %(dimension)s
    LIMIT %(many)s
) AS those

-- name: lock_index
-- Two dispatches that end at once build one index, not two.
SELECT pg_advisory_xact_lock(hashtextextended(%(name)s, 0))

-- name: has_index
-- An index that was left half-built is not valid and does not count.
SELECT 1
FROM pg_index
INNER JOIN pg_class ON pg_class.oid = pg_index.indexrelid
WHERE pg_class.relname = %(name)s AND pg_index.indisvalid

-- name: estimate_vectors
-- The planner's own estimate is near enough, and free.
SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'chunk_embeddings'::regclass

-- name: keep_dispatch
-- The digest of the seal is kept here: write access to the folder is no access to this table.
INSERT INTO dispatches (dispatch_id, started_at, finished_at, status, folder, seal_sha256, counts)
VALUES (
    %(dispatch_id)s, %(started_at)s, %(finished_at)s, %(status)s, %(folder)s, %(seal_sha256)s, %(counts)s
)
ON CONFLICT (dispatch_id) DO UPDATE SET
    finished_at = excluded.finished_at,
    status = excluded.status,
    folder = excluded.folder,
    seal_sha256 = excluded.seal_sha256,
    counts = excluded.counts

-- name: withdraw_seal
-- Before a folder is unsealed: what a resume then seals must never be held against the seal before it.
UPDATE dispatches SET seal_sha256 = NULL, status = 'running', finished_at = NULL WHERE dispatch_id = %(dispatch_id)s

-- name: kept_seal
-- verify compares the SHA256SUMS of a folder with it.
SELECT seal_sha256 FROM dispatches WHERE dispatch_id = %(dispatch_id)s
