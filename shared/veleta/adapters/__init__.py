"""Adapters of the ports: Kafka, MySQL and MLflow."""
