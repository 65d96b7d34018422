"""Where the results of a sweep lie: each run committed by one rename, then sealed into sorted Parquet shards."""
