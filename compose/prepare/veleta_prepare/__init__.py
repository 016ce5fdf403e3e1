"""The job that runs before the services: it creates databases, tables, users and topics, or verifies those that exist.

It may run at any time. It refuses what differs from the declaration and overwrites nothing.
"""
