-- The index over all job folders. A row is the fold of the events of a job, its record is what record.json holds.
CREATE TABLE job (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    device TEXT NOT NULL,
    created_us INTEGER NOT NULL, -- microseconds since 1970, UTC
    version INTEGER NOT NULL,
    record TEXT NOT NULL -- JSON
) WITHOUT ROWID;
CREATE INDEX job_by_status ON job (status, id);
CREATE INDEX job_by_name ON job (name, id);
CREATE INDEX job_by_device ON job (device, id);

CREATE TABLE tag (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    job_id TEXT NOT NULL,
    PRIMARY KEY (key, value, job_id)
) WITHOUT ROWID;
CREATE INDEX tag_by_job ON tag (job_id);
