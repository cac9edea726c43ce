"""Where a deployment is read from: a program, the engine, a state, manifests."""
