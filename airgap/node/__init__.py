"""A one-node Kubernetes made from package registries alone: its programs, kept up and taken away."""
