"""What turns a Workload into resources."""
