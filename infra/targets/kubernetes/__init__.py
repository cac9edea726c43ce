"""The target Kubernetes: workloads as the objects of a namespace."""
