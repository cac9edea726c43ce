"""What every provider plugin of ours shares: values on the wire, answers to the engine, operations with a bound."""
