"""What Veleta's services share.

Read it from the outside in: `dataset` (the one file that names columns), `events` and `topics` (the contract),
`ports` (what a service may ask of the world), `loop` (what happens to one record), `adapters` (Kafka, MySQL, MLflow
and their twins in memory), `service` (how every process starts and stops).
"""
