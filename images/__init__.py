"""The container images of the platform: what they are made of, what they are called, and how they are built."""
