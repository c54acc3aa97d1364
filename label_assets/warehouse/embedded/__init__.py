"""Real servers on one machine without installing any: ClickHouse, PostgreSQL and Redis from Python wheels.

Belongs here: how each of the three is started, found, guarded and stopped. Does not belong here: what is stored in
them. Nothing is imported by this package itself, so that a process that only talks to ClickHouse by URL loads none
of it.
"""
