"""What is deployed: the one typed description of an environment. No resource is made here."""
