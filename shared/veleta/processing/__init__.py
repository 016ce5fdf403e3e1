"""What happens to one record, from decoding to the commit, in every service that consumes events.

    decode ─► prepare (read, compute) ─► one transaction: effect, checkpoint, outbox ─► publish ─► commit
       │            │                                  │
       └────────────┴── Reject ────────────────────────┴──► dead letter, then the next record

`processor` handles one record, `consumer` feeds it from Kafka (drift feeds it from a Faust agent), `outbox` publishes,
`checkpoints` validates where to resume, `dead_letters` describes what could not be processed, `tail` follows topics
without a consumer group.
"""
