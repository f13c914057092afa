-- The index over all job folders. A row is the fold of the events of a job.
-- Each way to find jobs is an index that ends in the id: a list of jobs, the newest last. Jobs of sweeps and jobs
-- that stand alone have lists of their own, so that neither has to be picked out of the other.
CREATE TABLE job (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    device TEXT NOT NULL,
    created_us INTEGER NOT NULL, -- microseconds since 1970, UTC
    sweep TEXT, -- the id of the sweep that the job is a point of
    alone INTEGER NOT NULL, -- 1 when it is of no sweep, else 0
    engine TEXT NOT NULL,
    ref TEXT, -- of a job that has not ended; any other's is in its record
    version INTEGER NOT NULL,
    record BLOB NOT NULL -- what record.json holds, see packing.py
);
CREATE INDEX job_by_status ON job (status, alone, id);
CREATE INDEX job_by_name ON job (name, alone, id);
CREATE INDEX job_by_device ON job (device, alone, id);
CREATE INDEX job_by_sweep ON job (sweep, status, id) WHERE sweep IS NOT NULL;

CREATE TABLE tag (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    alone INTEGER NOT NULL, -- as the job's
    job_id TEXT NOT NULL,
    PRIMARY KEY (key, value, alone, job_id)
) WITHOUT ROWID;

CREATE TABLE sweep (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_us INTEGER NOT NULL, -- microseconds since 1970, UTC
    record TEXT NOT NULL -- JSON, what sweep.json holds
) WITHOUT ROWID;
CREATE INDEX sweep_by_name ON sweep (name, id);
