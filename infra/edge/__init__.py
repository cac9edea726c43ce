"""What the edge proxy is told, made from the stack's description alone."""
