"""Events: their payloads (`catalogue`) and their encoding as Kafka records (`envelope`)."""
