-- The fixed tables of PIPELINE as the first release created them. A deployment of that age must still start.
CREATE TABLE batches (
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    state VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    received INTEGER,
    cleaned INTEGER,
    rejected JSON COMMENT 'rejected rows by reason',
    digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    finding TEXT,
    opened_at DATETIME(6),
    closed_at DATETIME(6),
    loaded_at DATETIME(6),
    PRIMARY KEY (epoch, number)
);

CREATE TABLE datasets (
    digest VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    file TEXT NOT NULL,
    declared_at DATETIME(6) NOT NULL,
    PRIMARY KEY (digest)
);

CREATE TABLE drift_metrics (
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    column_name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    statistic VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    old_value DOUBLE,
    new_value DOUBLE,
    relative_change DOUBLE,
    threshold DOUBLE NOT NULL,
    verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    note VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    PRIMARY KEY (epoch, number, column_name, statistic)
);

CREATE TABLE drift_reports (
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    previous INTEGER,
    verdict VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    reason TEXT NOT NULL,
    policy VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    assessed_at DATETIME(6) NOT NULL,
    PRIMARY KEY (epoch, number)
);

CREATE TABLE marks (
    service VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    topic VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    partition_no INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (service, topic, partition_no)
);

CREATE TABLE outbox (
    id BIGINT NOT NULL AUTO_INCREMENT,
    service VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    topic VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    record_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    headers JSON NOT NULL,
    value LONGBLOB NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX ix_outbox_service ON outbox (service);

CREATE TABLE promotions (
    seq INTEGER NOT NULL,
    version INTEGER NOT NULL,
    previous INTEGER,
    decision VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    reason TEXT NOT NULL,
    actor VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    cause VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT 'the request to train that led here',
    decided_at DATETIME(6) NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (cause)
);

CREATE TABLE trainings (
    request_id VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    state VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    cause JSON NOT NULL,
    merged_into VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    recipe JSON,
    run_id VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    version INTEGER,
    metrics JSON,
    failure TEXT,
    attempts INTEGER NOT NULL DEFAULT '0',
    requested_at DATETIME(6) NOT NULL,
    started_at DATETIME(6),
    ended_at DATETIME(6),
    PRIMARY KEY (request_id)
);

