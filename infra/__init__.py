"""How a stack is deployed: components say what a program needs, a target turns it into resources."""
