"""Postgres: the embedded server, connections, migrations and named statements."""
