"""Adapters of the ports: Kafka, MySQL, MLflow, and their in-memory twins."""
