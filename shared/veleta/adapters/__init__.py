"""The ports' adapters: Kafka, MySQL, MLflow, and their twins in memory."""
