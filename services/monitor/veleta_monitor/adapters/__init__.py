"""What the monitor reads from: MySQL, Kafka and the services."""
