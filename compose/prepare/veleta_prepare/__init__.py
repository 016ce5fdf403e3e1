"""The job that runs before the services: databases, tables, users and topics, each made or verified.

It may run again at any time. What it finds to differ from the declaration it refuses; it overwrites nothing.
"""
