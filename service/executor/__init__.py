"""The executor: claims runs under a lease, runs their steps in DAG order and journals every result."""
