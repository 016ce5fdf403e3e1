"""The sources of the monitor: MySQL, Kafka and the services."""
