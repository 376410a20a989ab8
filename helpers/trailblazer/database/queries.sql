-- Every statement that trailblazer sends, by name; a test fails on a name that nobody uses or nobody wrote.

-- name: has_migrations
-- Asked first, so that a fresh database is no error.
SELECT to_regclass('schema_migrations') IS NOT NULL

-- name: applied_migrations
-- The digest shows whether a file was changed after it was applied.
SELECT number, sha256 FROM schema_migrations ORDER BY number

-- name: lock_migrations
-- One process at a time migrates a database; the number is the ASCII of "trailbla", and the lock ends with the transaction.
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
