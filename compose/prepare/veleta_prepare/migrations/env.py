"""Alembic's entry: the job hands over its connection, whose default database is this deployment's PIPELINE."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
with context.begin_transaction():
    context.run_migrations()
